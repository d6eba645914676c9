"""Whose token it is: what Entra ID writes into one, read and never checked, since it only tells people who they are."""

from __future__ import annotations

import base64
import json
from typing import Any

from jobq.model.roles import Who

SCOPE = "https://storage.azure.com/.default"


def who_of(token: str) -> Who:
    """Also of a token that is none of Entra ID's: nobody known, then."""
    claims = _claims(token)

    def claim(*names: str) -> str:
        return next((str(claims[name]) for name in names if claims.get(name)), "")

    is_user = bool(claim("scp"))  # an application has no scopes, it has roles
    name = claim("upn", "preferred_username", "unique_name", "email") if is_user else ""
    managed = claim("xms_mirid").rpartition("/")[2]
    name = name or managed or claim("app_displayname", "appid", "azp", "oid") or "an identity that tells no name"
    return Who(name, claim("oid"), "User" if is_user else "ServicePrincipal", claim("tid"))


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}
