// A Service Bus namespace without keys, with a queue for each lane of each realm.

@description('The name of the namespace.')
@minLength(6)
@maxLength(50)
param namespaceName string

@description('Where it is.')
param location string

@description('Tags of the namespace.')
param tags object

@description('Its queues.')
param queueNames string[]

@description('The Log Analytics workspace that takes metrics and logs.')
param workspaceName string

// Standard: in Basic no message lives longer than 14 days, and a ticket that expires takes its job with it.
resource bus 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: namespaceName
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Standard' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: 'Enabled'
  }
}

// docs/backends.md says why each is so.
resource queues 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [
  for queueName in queueNames: {
    parent: bus
    name: queueName
    properties: {
      lockDuration: 'PT5M'
      maxDeliveryCount: 1000
      maxSizeInMegabytes: 5120
      deadLetteringOnMessageExpiration: true
      requiresDuplicateDetection: false
      requiresSession: false
      enablePartitioning: false
    }
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' existing = {
  name: workspaceName
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: bus
  name: 'jobq'
  properties: {
    workspaceId: workspace.id
    logs: [{ category: 'OperationalLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
