import type { ConformanceCase } from '../case.ts'
import { ALLOCATE } from './allocate.ts'
import { ALLOCATE_REFUSALS } from './allocate-refusals.ts'
import { AUTHENTICATION } from './authentication.ts'
import { CHANNELS } from './channels.ts'
import { DATA } from './data.ts'
import { HOSTILE } from './hostile.ts'
import { MESSAGES } from './messages.ts'
import { MOBILITY } from './mobility.ts'
import { NAT_DISCOVERY } from './nat-discovery.ts'
import { PASSWORD_ALGORITHM_CASES } from './password-algorithms.ts'
import { PERMISSIONS } from './permissions.ts'
import { REFRESH } from './refresh.ts'
import { TCP_RELAY } from './tcp-relay.ts'
import { THIRD_PARTY } from './third-party.ts'

/** Every case, in the order of the RFCs. */
export const CASES: readonly ConformanceCase[] = [
  ...MESSAGES,
  ...AUTHENTICATION,
  ...PASSWORD_ALGORITHM_CASES,
  ...ALLOCATE,
  ...ALLOCATE_REFUSALS,
  ...REFRESH,
  ...PERMISSIONS,
  ...DATA,
  ...CHANNELS,
  ...TCP_RELAY,
  ...MOBILITY,
  ...NAT_DISCOVERY,
  ...THIRD_PARTY,
  ...HOSTILE,
]
