"""An Azure identity whose failures are told apart from those of what it is shown to."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError

from jobq.errors import NotAllowed, Unreachable


def own_credential(managed_identity: str = "") -> AsyncTokenCredential:
    """What `az login`, a managed identity or the AZURE_* variables give; the caller closes it.

    `managed_identity`: the client id of the one to use where there are several.
    """
    from azure.identity.aio import DefaultAzureCredential  # 0.2 s to import, not needed with keys

    if managed_identity:
        return DefaultAzureCredential(managed_identity_client_id=managed_identity)
    return DefaultAzureCredential()


class Identity:
    """Hands out the tokens of another credential, which stays open.

    Raises NotAllowed or Unreachable when there is none. From inside an SDK, azure-identity's own errors look like a
    refusal of the service, or like a request of ours that broke; but nothing was sent then.
    """

    def __init__(self, target: str, credential: AsyncTokenCredential) -> None:
        """`target`: what the tokens are for, in messages: `storage account lab`."""
        self._target = target
        self._credential = credential

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,  # Any: AsyncTokenCredential's own signature
    ) -> AccessToken:
        try:
            return await self._credential.get_token(
                *scopes, claims=claims, tenant_id=tenant_id, enable_cae=enable_cae, **kwargs
            )
        except AzureError as error:
            raise _no_token(self._target, error) from error

    async def close(self) -> None:
        """Nothing: the credential belongs to whoever opened it."""

    async def __aenter__(self) -> Identity:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()


def _no_token(target: str, error: AzureError) -> NotAllowed | Unreachable:
    kind = type(error).__name__  # not the message: it can be long, and may quote what the caller keeps secret
    if not isinstance(error, ClientAuthenticationError):
        return Unreachable(f"no token for {target}: the sign-in service did not answer ({kind})")
    return NotAllowed(
        f"no Azure identity to reach {target} with: run `az login` (with `--tenant` if it is in another one), or give "
        "this machine a managed identity, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET "
        f"({kind})"
    )
