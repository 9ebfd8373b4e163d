import type { Target } from './target.ts'
import { codec } from './targets/codec.ts'
import { config } from './targets/config.ts'
import { framing } from './targets/framing.ts'
import { machine } from './targets/machine.ts'

/** What can be fuzzed, by name. */
export const TARGETS: Readonly<Record<string, Target>> = { codec, framing, machine, config }
