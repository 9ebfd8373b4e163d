import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { command, until } from '../../cluster/command.ts'
import { bothConnected, type Caller, chat } from '../caller.ts'
import { NAMESPACE, OPERATOR, OPERATOR_NAMESPACE, relayPods } from '../fleet.ts'
import { startWebApp } from '../web-app.ts'
import { figure, type Story } from './story.ts'

const CONNECTED_MS_MAX = 5_000
/** Beyond the limit, so that a slow call is told from none. */
const CONNECTED_WAIT_MS = 15_000
const CALL_SECONDS = 60
const CALL_AFTERWARDS_SECONDS = 10
/** Chromium gives up checking candidates after some 15 s. */
const FAILED_WAIT_MS = 40_000

/** Negative controls: without relays, with relays over UDP only, and with a credential that is wrong. */
export async function callsThatMustFail(story: Story): Promise<void> {
  const { plane, kube } = story.world
  const common = {
    turnfleetUrl: story.ice.url,
    apiKey: story.apiKey,
    operatorCaFile: join(plane.directory, 'operator-ca.pem'),
    certFile: join(plane.directory, 'tls.crt'),
    keyFile: join(plane.directory, 'tls.key'),
    directory: join(plane.directory, 'log'),
  }
  story.webUrl = (await startWebApp({ ...common, port: 443, cluster: `${NAMESPACE}/public` })).url
  // The firewall lets out 80 and 443 only.
  const udpOnlyUrl = (await startWebApp({ ...common, port: 80, cluster: `${NAMESPACE}/udp-only` })).url
  await story.openBrowsers()
  const [withoutRelays, udpOnly, wrongCredential] = await Promise.all([
    story.bothJoin(`${story.webUrl}?relays=off`, 'no-relays'),
    story.bothJoin(udpOnlyUrl, 'udp-only'),
    story.bothJoin(story.webUrl, 'wrong-credential', spoilCredential),
  ])
  const startedAt = performance.now()
  const mustFail = [...withoutRelays, ...wrongCredential]
  await Promise.all(mustFail.map((caller) => caller.state('failed', FAILED_WAIT_MS)))
  figure('calls without relays and with a wrong credential have failed', performance.now() - startedAt)
  assert.match(await wrongCredential[0].log(), /401/)
  // Chromium waits 40 s for an answer to UDP before it gives up; one that works is connected in a tenth of that.
  for (const caller of udpOnly) {
    const { state, localType } = await caller.figures()
    assert.match(state, /^(connecting|failed)$/)
    assert.equal(localType, '')
  }
  await Promise.all([...mustFail, ...udpOnly].map((caller) => caller.leave()))
  await story.closeBrowsers()
  await kube(`delete -n ${NAMESPACE} turncluster/udp-only --wait=false`)
}

/** The main job: ICE finds the relay over TLS by itself, and the call does not need the operator. */
export async function callThroughTheFirewall(story: Story): Promise<void> {
  const { world, ice } = story
  const startedAt = performance.now()
  await story.openBrowsers()
  const [inOffice, atHome] = await story.bothJoin(story.webUrl, 'meeting')
  await bothConnected([inOffice, atHome], CONNECTED_WAIT_MS)
  const connectedMs = performance.now() - startedAt
  figure('browser start to connected', connectedMs)
  await chat(inOffice, atHome, 'hello from the office')
  await chat(atHome, inOffice, 'hello from home')
  assert.ok(connectedMs <= CONNECTED_MS_MAX, `took ${connectedMs} ms`)

  const relays = await relayPods(world, 'public')
  const deployment = `-n ${OPERATOR_NAMESPACE} deployment/${OPERATOR}`
  await world.kube(`scale ${deployment} --replicas=0`)
  await command('pkill', ['-KILL', '-f', '/app/operator/main.ts'])
  await flowsBothWays(inOffice, atHome, CALL_SECONDS)
  const pair = await inOffice.figures()
  console.log(pair)
  assert.equal(pair.localType, 'relay')
  assert.equal(pair.relayProtocol, 'tls')
  assert.match(pair.url, /^turns:.*:443\?transport=tcp$/)
  await chat(atHome, inOffice, 'still here')

  await world.kube(`scale ${deployment} --replicas=1`)
  await world.kube(`rollout status ${deployment} --timeout=60s`)
  await until('/v1/ice answers again', () => ice.ask('public'))
  await flowsBothWays(inOffice, atHome, CALL_AFTERWARDS_SECONDS)
  assert.deepEqual(await relayPods(world, 'public'), relays)
  await Promise.all([inOffice.leave(), atHome.leave()])
  await story.closeBrowsers()
}

/** Changes the credential on its way from the server to the page. */
async function spoilCredential(page: Page): Promise<void> {
  await page.routeWebSocket('**/signalling', (socket) => {
    const server = socket.connectToServer()
    server.onMessage((message) =>
      socket.send(String(message).replace(/"credential":"..../g, '"credential":"AAAA')),
    )
  })
}

/** Both sides must send and receive in each quarter of the time, and see each other's video move. */
async function flowsBothWays(one: Caller, two: Caller, seconds: number): Promise<void> {
  let before = await Promise.all([one.figures(), two.figures()])
  for (let part = 0; part < 4; part++) {
    await wait((seconds * 1000) / 4)
    const now = await Promise.all([one.figures(), two.figures()])
    now.forEach((side, i) => {
      const earlier = before[i]!
      assert.equal(side.state, 'connected')
      assert.ok(side.bytesSent > earlier.bytesSent, 'nothing was sent')
      assert.ok(side.bytesReceived > earlier.bytesReceived, 'nothing was received')
      assert.ok(side.videoSeconds > earlier.videoSeconds, 'the picture stands still')
    })
    before = now
  }
}
