// The control plane: a function app on Flex Consumption, that reaches everything as its identity.

@description('The name of the function app.')
@maxLength(60)
param appName string

@description('Where it is.')
param location string

@description('Tags of plan and app.')
param tags object

@description('Its Python.')
param pythonVersion string

@description('Memory of an instance, in MB.')
@allowed([512, 2048, 4096])
param memoryMB int

@description('Most instances.')
@minValue(40)
@maxValue(1000)
param maxInstances int

@description('Requests that an instance answers at the same time.')
@minValue(1)
param concurrency int

@description('The storage account of the Functions host.')
param hostAccountName string

@description('Its container with the code.')
param packageContainer string

@description('The Application Insights component.')
param insightsName string

@description('The identity that the app runs as.')
param identityName string

@description('The object id of that identity.')
param principalId string

@description('The resource id of the identity that scales a scale set, or nothing.')
param scalerIdentityId string

@description('The app settings of jobq.')
param settings object

var roles = {
  blobOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // Storage Blob Data Owner
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource hostAccount 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: hostAccountName
}

// The host keeps its locks, the timers' state and the functions' keys in blobs; jobq's functions need no queue of it.
resource hostBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: hostAccount
  name: guid(hostAccount.id, principalId, roles.blobOwner)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobOwner)
  }
}

resource telemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, principalId, roles.metricsPublisher)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.metricsPublisher)
  }
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: '${appName}-plan'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: appName
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: union(
      { '${identity.id}': {} },
      empty(scalerIdentityId) ? {} : { '${scalerIdentityId}': {} }
    )
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${hostAccount.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identity.id }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: memoryMB
        maximumInstanceCount: maxInstances
        triggers: { http: { perInstanceConcurrency: concurrency } }
      }
      runtime: { name: 'python', version: pythonVersion }
    }
  }
  dependsOn: [hostBlobs, telemetry]
}

resource appSettings 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: app
  name: 'appsettings'
  properties: union(
    {
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
      APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
      AZURE_CLIENT_ID: identity.properties.clientId
      AzureWebJobsDisableHomepage: 'true'
      AzureWebJobsStorage__blobServiceUri: hostAccount.properties.primaryEndpoints.blob
      AzureWebJobsStorage__clientId: identity.properties.clientId
      AzureWebJobsStorage__credential: 'managedidentity'
      FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '8388608'
      JOBQ_MAX_BODY_BYTES: '8388608'
    },
    settings
  )
}

resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

@description('Where the app answers.')
output hostName string = app.properties.defaultHostName
