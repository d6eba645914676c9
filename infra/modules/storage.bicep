// One storage account without keys: its queues, tables and containers.

@description('The name of the account.')
@minLength(3)
@maxLength(24)
param accountName string

@description('Where it is.')
param location string

@description('Tags of the account.')
param tags object

@description('Its queues.')
param queueNames string[]

@description('Its tables.')
param tableNames string[]

@description('Its containers.')
param containerNames string[]

@description('Blobs that begin so, container first, are deleted when they are old.')
param expiringPrefixes string[]

@description('How old, in days since they were last changed.')
@minValue(30)
param blobRetentionDays int

@description('The Log Analytics workspace that takes metrics and logs.')
param workspaceName string

@description('Log every read, write and delete.')
param logDataOperations bool

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: accountName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled'
  }
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = [
  for queueName in queueNames: {
    parent: queueService
    name: queueName
  }
]

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-01-01' = {
  parent: account
  name: 'default'
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-01-01' = [
  for tableName in tableNames: {
    parent: tableService
    name: tableName
  }
]

resource blobService 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    containerDeleteRetentionPolicy: { enabled: true, days: 7 }
  }
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [
  for containerName in containerNames: {
    parent: blobService
    name: containerName
    properties: { publicAccess: 'None' }
  }
]

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-01-01' = if (!empty(expiringPrefixes)) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'delete-old-blobs'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['blockBlob', 'appendBlob'], prefixMatch: expiringPrefixes }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: blobRetentionDays } } }
          }
        }
      ]
    }
  }
  dependsOn: [blobService]
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' existing = {
  name: workspaceName
}

var metrics = [{ category: 'Transaction', enabled: true }]
var logs = map(['StorageRead', 'StorageWrite', 'StorageDelete'], kind => { category: kind, enabled: logDataOperations })

resource queueDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: queueService
  name: 'jobq'
  properties: { workspaceId: workspace.id, logs: logs, metrics: metrics }
}

resource tableDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: tableService
  name: 'jobq'
  properties: { workspaceId: workspace.id, logs: logs, metrics: metrics }
}

resource blobDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobService
  name: 'jobq'
  properties: { workspaceId: workspace.id, logs: logs, metrics: metrics }
}
