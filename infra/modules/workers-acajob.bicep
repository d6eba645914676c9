// Workers as executions of a Container Apps job: started while there are messages, ended when the queues are empty.

@description('The name of the job.')
@maxLength(32)
param jobName string

@description('The name of its Container Apps environment.')
param environmentName string

@description('Where they are.')
param location string

@description('Tags of both.')
param tags object

@description('The Log Analytics workspace that takes what workers write.')
param workspaceName string

@description('The storage account of the jobs.')
param accountName string

@description('The Service Bus namespace, or nothing where the queues are in the account.')
param busName string

@description('The queues that are watched. Executions are started for the longest, not for their sum.')
param queueNames string[]

@description('Fewest executions at a time.')
@minValue(0)
param minExecutions int

@description('Most executions at a time.')
@minValue(1)
param maxExecutions int

@description('Jobs that an execution runs at the same time.')
@minValue(1)
param slots int

@description('An image with Python 3.11 or later as python3, with venv and pip.')
param image string

@description('Processors of an execution, as a number.')
param cpu string

@description('Memory of an execution.')
param memory string

@description('How long an execution may last, in seconds.')
@minValue(1800)
param timeoutSeconds int

@description('The resource id of the workers\' identity.')
param identityId string

@description('The resource id of the identity that counts messages.')
param scalerIdentityId string

@description('SHA-256 of the wheel: required, as 64 hexadecimal digits.')
@minLength(64)
@maxLength(64)
param wheelSha256 string

@description('SHA-256 of its requirements: required, as 64 hexadecimal digits.')
@minLength(64)
@maxLength(64)
param requirementsSha256 string

@description('The worker\'s environment.')
param settings object

var isOnBus = !empty(busName)
var allSettings = union(settings, {
  JOBQ_IMAGE: image
  JOBQ_REQUIREMENTS_SHA256: requirementsSha256
  JOBQ_WHEEL_SHA256: wheelSha256
  JOBQ_WORKER_TIME_LIMIT: '${timeoutSeconds - 600}s'
})

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' existing = {
  name: workspaceName
}

// Logs go through Azure Monitor: straight to Log Analytics they would need a key.
resource managedEnvironment 'Microsoft.App/managedEnvironments@2025-01-01' = {
  name: environmentName
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: { destination: 'azure-monitor' }
    workloadProfiles: [{ name: 'Consumption', workloadProfileType: 'Consumption' }]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: managedEnvironment
  name: 'jobq'
  properties: {
    workspaceId: workspace.id
    logs: [
      { category: 'ContainerAppConsoleLogs', enabled: true }
      { category: 'ContainerAppSystemLogs', enabled: true }
    ]
  }
}

// `all` counts messages that are leased, too: the scaler subtracts the executions that hold them.
var storageRules = [
  for queueName in queueNames: {
    name: queueName
    type: 'azure-queue'
    identity: scalerIdentityId
    metadata: {
      accountName: accountName
      queueName: queueName
      queueLength: string(slots)
      queueLengthStrategy: 'all'
    }
  }
]

var busRules = [
  for queueName in queueNames: {
    name: queueName
    type: 'azure-servicebus'
    identity: scalerIdentityId
    metadata: {
      namespace: busName
      queueName: queueName
      messageCount: string(slots)
    }
  }
]

// No code in the container can log in as the scaler (lifecycle None).
resource job 'Microsoft.App/jobs@2025-01-01' = {
  name: jobName
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {}, '${scalerIdentityId}': {} }
  }
  properties: {
    environmentId: managedEnvironment.id
    workloadProfileName: 'Consumption'
    configuration: {
      triggerType: 'Event'
      replicaTimeout: timeoutSeconds
      replicaRetryLimit: 0
      identitySettings: [
        { identity: identityId, lifecycle: 'All' }
        { identity: scalerIdentityId, lifecycle: 'None' }
      ]
      eventTriggerConfig: {
        parallelism: 1
        replicaCompletionCount: 1
        scale: {
          minExecutions: minExecutions
          maxExecutions: maxExecutions
          pollingInterval: 30
          rules: isOnBus ? busRules : storageRules
        }
      }
    }
    template: {
      containers: [
        {
          name: 'worker'
          image: image
          command: ['python3', '-c', loadTextContent('../worker/install.py')]
          args: ['/tmp/jobq-venv', 'jobq', 'worker', '--exit-when-empty']
          env: map(items(allSettings), one => { name: one.key, value: string(one.value) })
          resources: { cpu: json(cpu), memory: memory }
        }
      ]
    }
  }
}
