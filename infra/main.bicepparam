// For `az deployment group create` and for azd alike: change what is here, or set the variables.
using './main.bicep'

param name = readEnvironmentVariable('AZURE_ENV_NAME', 'jobq')

param realms = ['default']
param lanes = ['0']
param backend = readEnvironmentVariable('JOBQ_BACKEND', 'storage')

// The fleet: 'acajob' or 'vmss', with the two hashes that infra/scripts/publish.sh prints.
param workers = readEnvironmentVariable('JOBQ_WORKERS', 'none')
param workerMax = 10
param jobqVersion = readEnvironmentVariable('JOBQ_VERSION', '0.1.0')
param wheelSha256 = readEnvironmentVariable('JOBQ_WHEEL_SHA256', '')
param requirementsSha256 = readEnvironmentVariable('JOBQ_REQUIREMENTS_SHA256', '')

// Of vmss: a public key, and the number of instances there are when it is deployed again.
param sshPublicKey = readEnvironmentVariable('JOBQ_SSH_PUBLIC_KEY', '')
param workerInstances = int(readEnvironmentVariable('JOBQ_WORKER_INSTANCES', '0'))

// Who may use the queues themselves, without the control plane: best a group. azd sets it to whoever is logged in.
param userPrincipalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param userPrincipalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
