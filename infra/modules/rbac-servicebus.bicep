// Who may send and receive tickets through Service Bus.

@description('The namespace.')
param namespaceName string

@description('Its queues.')
param queueNames string[]

@description('The object id of the identity of the control plane.')
param servicePrincipalId string

@description('The object id of the identity of the workers.')
param workerPrincipalId string

@description('The object id of the identity that counts messages.')
param scalerPrincipalId string

@description('The object id of who may push, manage and run jobs; none without.')
param userPrincipalId string

@description('What that is.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param userPrincipalType string

var roles = {
  sender: '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39' // Azure Service Bus Data Sender
  receiver: '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0' // Azure Service Bus Data Receiver
}

resource bus 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource queues 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [
  for name in queueNames: {
    parent: bus
    name: name
  }
]

// On the namespace: the control plane serves every realm, also those whose queues are made later.
resource serviceSends 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: bus
  name: guid(bus.id, servicePrincipalId, roles.sender)
  properties: {
    principalId: servicePrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.sender)
  }
}

resource serviceReceives 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: bus
  name: guid(bus.id, servicePrincipalId, roles.receiver)
  properties: {
    principalId: servicePrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.receiver)
  }
}

// A worker sends, too: a ticket that is put back is a new message.
resource workerSends 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, i) in queueNames: {
    scope: queues[i]
    name: guid(queues[i].id, workerPrincipalId, roles.sender)
    properties: {
      principalId: workerPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.sender)
    }
  }
]

resource workerReceives 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, i) in queueNames: {
    scope: queues[i]
    name: guid(queues[i].id, workerPrincipalId, roles.receiver)
    properties: {
      principalId: workerPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.receiver)
    }
  }
]

// To count messages takes the role's queues/read (MicrosoftDocs/azure-docs#128626). No smaller role was tried.
resource scalerReceives 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, i) in queueNames: {
    scope: queues[i]
    name: guid(queues[i].id, scalerPrincipalId, roles.receiver)
    properties: {
      principalId: scalerPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.receiver)
    }
  }
]

resource userSends 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, i) in queueNames: if (!empty(userPrincipalId)) {
    scope: queues[i]
    name: guid(queues[i].id, userPrincipalId, roles.sender)
    properties: {
      principalId: userPrincipalId
      principalType: userPrincipalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.sender)
    }
  }
]

resource userReceives 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, i) in queueNames: if (!empty(userPrincipalId)) {
    scope: queues[i]
    name: guid(queues[i].id, userPrincipalId, roles.receiver)
    properties: {
      principalId: userPrincipalId
      principalType: userPrincipalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.receiver)
    }
  }
]
