import type { Contender, StreamAccess } from '../contenders.ts'
import type { BenchNetwork } from '../network.ts'
import { type Measurement, measure } from './measure.ts'
import type { Load } from './options.ts'

/** Loss that counts as none. */
const LOSS_MAX = 0.001
const FIRST_RATE = 40_000
const RATE_STEP = 1.15
const STEPS_MAX = 24
/** A generator that sends less than this share of the offered rate is at its own limit. */
const SENT_SHARE_MIN = 0.98

/** Measures a server under a load at one offered rate, or at the highest without loss. */
export async function measureAt(
  rate: number | 'max',
  contender: Contender,
  network: BenchNetwork,
  load: Load,
  access?: StreamAccess,
): Promise<Measurement> {
  if (rate !== 'max') return await measure(contender, network, { ...load, packetsPerSecond: rate }, access)
  return { ...(await highestRate(contender, network, load, access)), offeredPerSecond: rate }
}

/**
 * Raises the offered rate until packets are lost or the generator can do no more; the last rate without loss, or
 * the first where that has some.
 */
async function highestRate(
  contender: Contender,
  network: BenchNetwork,
  load: Load,
  access: StreamAccess | undefined,
): Promise<Measurement> {
  let best: Measurement | undefined
  let packetsPerSecond = FIRST_RATE
  for (let step = 0; step < STEPS_MAX; step++) {
    const measurement = await measure(contender, network, { ...load, packetsPerSecond }, access)
    if (measurement.lossShare > LOSS_MAX) return best ?? measurement
    best = measurement
    if (measurement.sentPerSecond < packetsPerSecond * SENT_SHARE_MIN) break
    packetsPerSecond = Math.round(packetsPerSecond * RATE_STEP)
  }
  return best!
}
