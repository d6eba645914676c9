// A whole jobq: rows, queues and blobs, the control plane, and (if asked for) a fleet of workers. No key anywhere.
targetScope = 'resourceGroup'

@description('The first part of all names: 3 to 12 of a-z and 0-9, beginning with a letter.')
@minLength(3)
@maxLength(12)
param name string = 'jobq'

@description('Where everything is. Flex Consumption must be offered there.')
param location string = resourceGroup().location

@description('Tags of every resource.')
param tags object = {}

@description('The realms that workers take jobs from; the first is the one that the outputs address.')
@minLength(1)
@maxLength(20)
param realms string[] = ['default']

@description('The lanes of each realm. Each lane of each realm has a queue.')
@minLength(1)
@maxLength(10)
param lanes string[] = ['0']

@description('Where tickets travel: in queues of the storage account, or through a Service Bus namespace of its own.')
@allowed(['storage', 'servicebus'])
param backend string = 'storage'

@description('The Python of the control plane.')
@allowed(['3.11', '3.12', '3.13'])
param pythonVersion string = '3.13'

@description('Memory of an instance of the control plane, in MB.')
@allowed([512, 2048, 4096])
param apiMemoryMB int = 2048

@description('Most instances of the control plane.')
@minValue(40)
@maxValue(1000)
param apiMaxInstances int = 40

@description('Requests that an instance of the control plane answers at the same time; without, 1.')
@minValue(1)
@maxValue(100)
param apiConcurrency int = 16

@description('What runs the jobs: a Container Apps job, a scale set of virtual machines, or nothing from here.')
@allowed(['none', 'acajob', 'vmss'])
param workers string = 'none'

@description('Jobs that a worker runs at the same time.')
@minValue(1)
@maxValue(64)
param workerSlots int = 1

@description('Fewest workers.')
@minValue(0)
@maxValue(100)
param workerMin int = 0

@description('Most workers.')
@minValue(1)
@maxValue(1000)
param workerMax int = 10

@description('Instances of the scale set after this deployment. Pass what it has: more are deleted (vmss).')
@minValue(0)
@maxValue(1000)
param workerInstances int = workerMin

@description('The size of a virtual machine (vmss).')
param workerVmSize string = 'Standard_D2as_v5'

@description('Spot machines cost a fraction, and can be taken away (vmss).')
@allowed(['Spot', 'Regular'])
param workerPriority string = 'Spot'

@description('Least time between two changes of the number of machines, as jobq writes durations (vmss).')
param scaleCooldown string = '5m'

@description('A public key to log in to the virtual machines with; none of their ports is open (vmss).')
param sshPublicKey string = ''

@description('How the machines reach the internet: an address each, or a NAT gateway, never free (vmss).')
@allowed(['instanceIp', 'nat'])
param outboundMode string = 'instanceIp'

@description('A container image with Python 3.11 or later as python3, with venv and pip (acajob).')
param workerImage string = 'docker.io/library/python:3.13-slim'

@description('Processors of a worker, as a number (acajob).')
@allowed(['0.5', '1', '2', '4'])
param workerCpu string = '1'

@description('Memory of a worker: 2Gi for each processor (acajob).')
@allowed(['1Gi', '2Gi', '4Gi', '8Gi'])
param workerMemory string = '2Gi'

@description('How long an execution may last, in seconds. Its worker gives its jobs back 10 minutes earlier (acajob).')
@minValue(1800)
@maxValue(604800)
param workerTimeoutSeconds int = 86400

@description('The version of jobq that workers install, from the blob wheels/jobq-VERSION-py3-none-any.whl.')
param jobqVersion string = '0.1.0'

@description('SHA-256 of that wheel, 64 hexadecimal digits. Workers install nothing else.')
param wheelSha256 string = ''

@description('SHA-256 of the blob wheels/requirements.txt, which names what the wheel needs, with hashes.')
param requirementsSha256 string = ''

@description('The object id of a group, person or service principal that may push and manage jobs, if any.')
param userPrincipalId string = ''

@description('What that is.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param userPrincipalType string = 'User'

@description('Logs that are taken in a day at most, in GB; 0.023 is the least.')
param logDailyQuotaGb string = '1'

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Days after which payloads, results, logs and checkpoints are deleted. No job may wait longer.')
@minValue(30)
@maxValue(3650)
param blobRetentionDays int = 365

@description('Log every read, write and delete of the jobs\' storage account. Costs more than the storage itself.')
param logDataOperations bool = false

// What the code calls them.
var tableName = 'jobq'
var jobContainer = 'jobq'
var wheelContainer = 'wheels'
var packageContainer = 'package'
var queueNames = flatten(map(realms, realm => map(lanes, lane => lane == '0' ? realm : '${realm}-lane-${lane}')))

var suffix = take(uniqueString(resourceGroup().id, name), 8)
var dataName = '${name}data${suffix}'
var hostName = '${name}host${suffix}'
var busName = '${name}-bus-${suffix}'
var apiName = '${name}-api-${suffix}'
var workspaceName = '${name}-logs-${suffix}'
var insightsName = '${name}-insights-${suffix}'
var scaleSetName = '${name}-workers-${suffix}'
var containerJobName = '${name}-work-${suffix}'
var isOnBus = backend == 'servicebus'
var scaleSetId = workers == 'vmss' ? resourceId('Microsoft.Compute/virtualMachineScaleSets', scaleSetName) : ''
var address = isOnBus ? 'sb://${busName}/${realms[0]}' : '${dataName}/${realms[0]}'

resource serviceIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-service-${suffix}'
  location: location
  tags: tags
}

resource workerIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-worker-${suffix}'
  location: location
  tags: tags
}

// Counts the messages for a Container Apps job; for a scale set, what the timer of the control plane logs in as.
resource scalerIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-scaler-${suffix}'
  location: location
  tags: tags
}

module monitoring 'modules/monitoring.bicep' = {
  name: '${name}-monitoring'
  params: {
    workspaceName: workspaceName
    insightsName: insightsName
    location: location
    tags: tags
    dailyQuotaGb: logDailyQuotaGb
    retentionDays: logRetentionDays
  }
}

module data 'modules/storage.bicep' = {
  name: '${name}-data'
  params: {
    accountName: dataName
    location: location
    tags: tags
    queueNames: isOnBus ? [] : queueNames
    tableNames: [tableName]
    containerNames: [jobContainer, wheelContainer]
    expiringPrefixes: map(['payload', 'result', 'log', 'checkpoint'], kind => '${jobContainer}/${kind}/')
    blobRetentionDays: blobRetentionDays
    workspaceName: workspaceName
    logDataOperations: logDataOperations
  }
  dependsOn: [monitoring]
}

// Of the Functions host alone: whoever writes here can change the code of the control plane.
module host 'modules/storage.bicep' = {
  name: '${name}-host'
  params: {
    accountName: hostName
    location: location
    tags: tags
    queueNames: []
    tableNames: []
    containerNames: [packageContainer]
    expiringPrefixes: []
    blobRetentionDays: blobRetentionDays
    workspaceName: workspaceName
    logDataOperations: false
  }
  dependsOn: [monitoring]
}

module bus 'modules/servicebus.bicep' = if (isOnBus) {
  name: '${name}-bus'
  params: {
    namespaceName: busName
    location: location
    tags: tags
    queueNames: queueNames
    workspaceName: workspaceName
  }
  dependsOn: [monitoring]
}

module roles 'modules/rbac.bicep' = {
  name: '${name}-roles'
  params: {
    accountName: dataName
    queueNames: isOnBus ? [] : queueNames
    tableName: tableName
    jobContainer: jobContainer
    wheelContainer: wheelContainer
    servicePrincipalId: serviceIdentity.properties.principalId
    workerPrincipalId: workerIdentity.properties.principalId
    scalerPrincipalId: scalerIdentity.properties.principalId
    userPrincipalId: userPrincipalId
    userPrincipalType: userPrincipalType
  }
  dependsOn: [data]
}

module busRoles 'modules/rbac-servicebus.bicep' = if (isOnBus) {
  name: '${name}-bus-roles'
  params: {
    namespaceName: busName
    queueNames: queueNames
    servicePrincipalId: serviceIdentity.properties.principalId
    workerPrincipalId: workerIdentity.properties.principalId
    scalerPrincipalId: scalerIdentity.properties.principalId
    userPrincipalId: userPrincipalId
    userPrincipalType: userPrincipalType
  }
  dependsOn: [bus]
}

module api 'modules/api.bicep' = {
  name: '${name}-api'
  params: {
    appName: apiName
    location: location
    tags: tags
    pythonVersion: pythonVersion
    memoryMB: apiMemoryMB
    maxInstances: apiMaxInstances
    concurrency: apiConcurrency
    hostAccountName: hostName
    packageContainer: packageContainer
    insightsName: insightsName
    identityName: serviceIdentity.name
    principalId: serviceIdentity.properties.principalId
    scalerIdentityId: workers == 'vmss' ? scalerIdentity.id : ''
    settings: union(
      { JOBQ_STORAGE: dataName },
      isOnBus ? { JOBQ_SERVICEBUS: busName, JOBQ_TABLES: dataName } : {},
      workers != 'vmss' ? {} : {
        JOBQ_SCALE_SET: scaleSetId
        JOBQ_SCALE_CLIENT_ID: scalerIdentity.properties.clientId
        JOBQ_SCALE_REALMS: join(realms, ',')
        JOBQ_SCALE_MIN: string(workerMin)
        JOBQ_SCALE_MAX: string(workerMax)
        JOBQ_SCALE_JOBS_PER_INSTANCE: string(workerSlots)
        JOBQ_SCALE_COOLDOWN: scaleCooldown
      }
    )
  }
  dependsOn: [host, monitoring, roles, busRoles]
}

var workerSettings = union(
  {
    AZURE_CLIENT_ID: workerIdentity.properties.clientId
    JOBQ: address
    JOBQ_ENVIRONMENT_NAME: '${name}-${workers}'
    JOBQ_WHEELS: 'https://${dataName}.blob.${environment().suffixes.storage}/${wheelContainer}'
    JOBQ_WHEEL: 'jobq-${jobqVersion}-py3-none-any.whl'
    JOBQ_WORKER_REALMS: join(realms, ',')
    JOBQ_WORKER_SLOTS: string(workerSlots)
  },
  isOnBus ? { JOBQ_TABLES: dataName } : {},
  workers == 'vmss' ? { JOBQ_WORKER_KEEP_INSTANCES: string(workerMin) } : {}
)

module scaleSet 'modules/workers-vmss.bicep' = if (workers == 'vmss') {
  name: '${name}-workers-vmss'
  params: {
    scaleSetName: scaleSetName
    location: location
    tags: tags
    instances: workerInstances
    vmSize: workerVmSize
    priority: workerPriority
    sshPublicKey: sshPublicKey
    outboundMode: outboundMode
    identityId: workerIdentity.id
    workerPrincipalId: workerIdentity.properties.principalId
    scalerPrincipalId: scalerIdentity.properties.principalId
    wheelSha256: wheelSha256
    requirementsSha256: requirementsSha256
    settings: workerSettings
  }
  dependsOn: [roles, busRoles]
}

module containerJob 'modules/workers-acajob.bicep' = if (workers == 'acajob') {
  name: '${name}-workers-acajob'
  params: {
    jobName: containerJobName
    environmentName: '${name}-env-${suffix}'
    location: location
    tags: tags
    workspaceName: workspaceName
    accountName: dataName
    busName: isOnBus ? busName : ''
    queueNames: queueNames
    minExecutions: workerMin
    maxExecutions: workerMax
    slots: workerSlots
    image: workerImage
    cpu: workerCpu
    memory: workerMemory
    timeoutSeconds: workerTimeoutSeconds
    identityId: workerIdentity.id
    scalerIdentityId: scalerIdentity.id
    wheelSha256: wheelSha256
    requirementsSha256: requirementsSha256
    settings: workerSettings
  }
  dependsOn: [monitoring, roles, busRoles]
}

@description('The address of the first realm.')
output JOBQ string = address

@description('The storage account with the rows and blobs.')
output JOBQ_TABLES string = dataName

@description('The control plane; a realm over HTTP is this, a slash and its name.')
output JOBQ_API_URL string = 'https://${api.outputs.hostName}/api'

@description('The storage account of the jobs.')
output JOBQ_STORAGE string = dataName

@description('The Service Bus namespace, or nothing.')
output JOBQ_SERVICEBUS string = isOnBus ? busName : ''

@description('The identity of the workers, as AZURE_CLIENT_ID takes it.')
output JOBQ_WORKER_CLIENT_ID string = workerIdentity.properties.clientId

@description('The container that workers install jobq from.')
output JOBQ_WHEEL_CONTAINER string = wheelContainer

@description('The resource group.')
output AZURE_RESOURCE_GROUP string = resourceGroup().name

@description('The function app.')
output AZURE_FUNCTION_NAME string = apiName

@description('The resource id of the scale set of workers, or nothing.')
output JOBQ_SCALE_SET string = scaleSetId

@description('The Container Apps job of workers, or nothing.')
output JOBQ_CONTAINER_JOB string = workers == 'acajob' ? containerJobName : ''

@description('Application Insights of the control plane.')
output APPLICATIONINSIGHTS_NAME string = insightsName
