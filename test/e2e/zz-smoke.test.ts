import test from 'node:test'
import { createWorld } from './world.ts'

test('world', async () => {
  const t = Date.now()
  const world = await createWorld()
  console.log('up', Date.now() - t)
  console.log(await world.plane.kubectl(['get', 'nodes', '-o', 'wide']))
  const { shell } = await import('../cluster/command.ts')
  await world.plane.kubectl(
    ['apply', '-f', '-'],
    `
apiVersion: v1
kind: Pod
metadata: {name: p443, namespace: default}
spec:
  hostNetwork: true
  nodeName: node1
  securityContext: {runAsNonRoot: true, runAsUser: 65532}
  containers:
  - name: relay
    image: ${world.images.relay}
    command: [node-privileged-ports, -e, "require('net').createServer(()=>{}).listen(443,()=>console.log('LISTENING 443'))"]
    securityContext: {allowPrivilegeEscalation: true, readOnlyRootFilesystem: true, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}
---
apiVersion: v1
kind: Pod
metadata: {name: pnet, namespace: default}
spec:
  nodeName: node2
  containers:
  - name: relay
    image: ${world.images.operator}
    command: [node, -e, "require('http').createServer((q,s)=>s.end('hi')).listen(8080,()=>console.log('LISTENING 8080'))"]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`,
  )
  await world.plane.kubectl(['wait', '--for=condition=Ready', 'pod/p443', 'pod/pnet', '--timeout=30s'])
  console.log('pods', Date.now() - t)
  console.log(
    await world.plane.kubectl(['get', 'pods', '-o', 'wide']),
    await world.plane.kubectl(['logs', 'p443']),
    await world.plane.kubectl(['logs', 'pnet']),
  )
  const ip = await world.plane.kubectl(['get', 'pod', 'pnet', '-o', 'jsonpath={.status.podIP}'])
  console.log(
    await (await fetch(`http://${ip}:8080`)).text(),
    await shell(
      `nsenter --net=/run/netns/tf-office timeout 3 bash -c 'exec 3<>/dev/tcp/203.0.113.11/443 && echo OFFICE443'`,
    ),
  )
  process.exit(0)
})
