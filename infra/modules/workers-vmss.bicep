// Workers on a scale set of virtual machines. The control plane adds instances; a worker that is idle removes its own.

@description('The name of the scale set.')
@maxLength(64)
param scaleSetName string

@description('Where it is.')
param location string

@description('Tags of all that is here.')
param tags object

@description('Instances after this deployment.')
@minValue(0)
@maxValue(1000)
param instances int

@description('The size of a virtual machine.')
param vmSize string

@description('Spot or Regular.')
@allowed(['Spot', 'Regular'])
param priority string

@description('A public key to log in with.')
@minLength(60)
param sshPublicKey string

@description('An address for each instance, or a NAT gateway.')
@allowed(['instanceIp', 'nat'])
param outboundMode string

@description('The resource id of the workers\' identity.')
param identityId string

@description('The object id of that identity.')
param workerPrincipalId string

@description('The object id of the identity that changes the number of instances.')
param scalerPrincipalId string

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

var isSpot = priority == 'Spot'
var isNat = outboundMode == 'nat'
var environmentText = '${join(map(items(settings), one => '${one.key}=${one.value}'), '\n')}\n'
var hashesText = 'JOBQ_WHEEL_SHA256=${wheelSha256}\nJOBQ_REQUIREMENTS_SHA256=${requirementsSha256}\n'
var cloudInit = reduce(
  [
    { mark: '@@INSTALL@@', text: loadFileAsBase64('../worker/install.py') }
    { mark: '@@ENVIRONMENT@@', text: base64('${environmentText}${hashesText}') }
  ],
  loadTextContent('../cloud-init/worker.yaml'),
  (text, one) => replace(text, one.mark, one.text)
)

resource securityGroup 'Microsoft.Network/networkSecurityGroups@2024-07-01' = {
  name: '${scaleSetName}-nsg'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'deny-all-inbound'
        properties: {
          access: 'Deny'
          direction: 'Inbound'
          priority: 100
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource natAddress 'Microsoft.Network/publicIPAddresses@2024-07-01' = if (isNat) {
  name: '${scaleSetName}-nat-ip'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

resource nat 'Microsoft.Network/natGateways@2024-07-01' = if (isNat) {
  name: '${scaleSetName}-nat'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIpAddresses: [{ id: natAddress.id }] }
}

resource network 'Microsoft.Network/virtualNetworks@2024-07-01' = {
  name: '${scaleSetName}-net'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.20.0.0/20'] }
    subnets: [
      {
        name: 'workers'
        properties: {
          addressPrefix: '10.20.0.0/21'
          defaultOutboundAccess: false
          networkSecurityGroup: { id: securityGroup.id }
          natGateway: isNat ? { id: nat.id } : null
        }
      }
    ]
  }
}

// Not overprovisioned: the instances too many would be deleted with the jobs they have begun.
resource scaleSet 'Microsoft.Compute/virtualMachineScaleSets@2024-11-01' = {
  name: scaleSetName
  location: location
  tags: tags
  sku: { name: vmSize, tier: 'Standard', capacity: instances }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    orchestrationMode: 'Uniform'
    overprovision: false
    singlePlacementGroup: false
    platformFaultDomainCount: 1
    upgradePolicy: { mode: 'Manual' }
    virtualMachineProfile: {
      priority: priority
      evictionPolicy: isSpot ? 'Delete' : null
      billingProfile: isSpot ? { maxPrice: -1 } : null
      scheduledEventsProfile: isSpot ? null : {
        terminateNotificationProfile: { enable: true, notBeforeTimeout: 'PT5M' }
      }
      securityProfile: {
        securityType: 'TrustedLaunch'
        uefiSettings: { secureBootEnabled: true, vTpmEnabled: true }
      }
      storageProfile: {
        imageReference: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: 'latest' }
        osDisk: {
          createOption: 'FromImage'
          caching: 'ReadWrite'
          managedDisk: { storageAccountType: 'StandardSSD_LRS' }
        }
      }
      osProfile: {
        computerNamePrefix: 'jobq-'
        adminUsername: 'azureuser'
        customData: base64(cloudInit)
        linuxConfiguration: {
          disablePasswordAuthentication: true
          ssh: { publicKeys: [{ path: '/home/azureuser/.ssh/authorized_keys', keyData: sshPublicKey }] }
        }
      }
      networkProfile: {
        networkInterfaceConfigurations: [
          {
            name: 'nic'
            properties: {
              primary: true
              networkSecurityGroup: { id: securityGroup.id }
              ipConfigurations: [
                {
                  name: 'ip'
                  properties: {
                    primary: true
                    subnet: { id: network.properties.subnets[0].id }
                    publicIPAddressConfiguration: isNat ? null : {
                      name: 'outbound'
                      sku: { name: 'Standard', tier: 'Regional' }
                      properties: { idleTimeoutInMinutes: 15 }
                    }
                  }
                }
              ]
            }
          }
        ]
      }
    }
  }
}

resource scaling 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, scaleSetName, 'scaling')
  properties: {
    roleName: 'jobq: set the size of ${scaleSetName} (${uniqueString(resourceGroup().id)})'
    description: 'Reads a scale set and its instances, and sets how many there are.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: [
          'Microsoft.Compute/virtualMachineScaleSets/read'
          'Microsoft.Compute/virtualMachineScaleSets/write'
          'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read'
        ]
      }
    ]
  }
}

// It may delete any instance of this set, not only its own: Azure has no narrower action.
resource leaving 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, scaleSetName, 'leaving')
  properties: {
    roleName: 'jobq: delete instances of ${scaleSetName} (${uniqueString(resourceGroup().id)})'
    description: 'Deletes instances of a scale set, but not the set.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: [
          'Microsoft.Compute/virtualMachineScaleSets/read'
          'Microsoft.Compute/virtualMachineScaleSets/delete/action'
        ]
      }
    ]
  }
}

resource scalerScales 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: scaleSet
  name: guid(scaleSet.id, scalerPrincipalId, scaling.id)
  properties: {
    principalId: scalerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: scaling.id
  }
}

resource workerLeaves 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: scaleSet
  name: guid(scaleSet.id, workerPrincipalId, leaving.id)
  properties: {
    principalId: workerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: leaving.id
  }
}
