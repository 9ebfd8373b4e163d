import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { dump } from './fleet.ts'
import { callsThatMustFail, callThroughTheFirewall } from './story/calls.ts'
import { growAndShrink, killRelays } from './story/fleet-changes.ts'
import { applyFleet, applyMinimal, install } from './story/install.ts'
import { forwardInTheKernel } from './story/kernel-path.ts'
import { proveTheNetwork } from './story/network.ts'
import { stayIdle } from './story/rest.ts'
import { figure, Story } from './story/story.ts'
import { upgradeInPlace } from './story/upgrade.ts'
import { createWorld } from './world.ts'

/**
 * The main job from end to end: turnfleet installed by Helm on real nodes, and people behind NATs and a firewall
 * who talk through its relays. The tests are steps of one story and run in their order.
 */
describe('turnfleet on Kubernetes', { concurrency: false }, () => {
  let story: Story
  let failed = false

  before(async () => {
    const startedAt = performance.now()
    story = new Story(await createWorld())
    figure('cluster of three nodes up', performance.now() - startedAt)
  })

  after(async () => {
    if (failed) console.log(await dump(story.world))
    await story?.closeBrowsers()
  })

  /** A failed step fails those after it, which build on it. */
  function step(name: string, act: (story: Story, t: TestContext) => Promise<void>): void {
    test(name, async (t) => {
      assert.ok(!failed, 'an earlier step has failed')
      try {
        await act(story, t)
      } catch (error) {
        failed = true
        throw error
      }
    })
  }

  step('both NATs are symmetric and the firewall stops UDP', proveTheNetwork)
  step('helm install from the checkout brings up the operator', install)
  step('a minimal TurnCluster becomes Ready', applyMinimal)
  step(
    'a relay on the kernel path forwards in the kernel of its node, and leaves no program there',
    forwardInTheKernel,
  )
  step('a TurnCluster with TLS on 443 becomes Ready', applyFleet)
  step('without relays, with UDP only and with a wrong credential no call comes about', callsThatMustFail)
  step('a video call through the firewall, with the operator killed for a minute', callThroughTheFirewall)
  step('a relay that is killed leaves /v1/ice at once and is replaced', killRelays)
  step('load makes the fleet grow, its end makes it shrink, and no allocation is lost', growAndShrink)
  step('a relay is replaced on its own node, and neither calls nor newcomers notice', upgradeInPlace)
  step('an idle operator writes nothing', stayIdle)
})
