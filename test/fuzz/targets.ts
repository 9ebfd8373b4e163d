import type { Target } from './target.ts'
import { codec } from './targets/codec.ts'
import { config } from './targets/config.ts'
import { credentialsTarget } from './targets/credentials.ts'
import { framing } from './targets/framing.ts'
import { hello } from './targets/hello.ts'
import { machine } from './targets/machine.ts'
import { proxy } from './targets/proxy.ts'

/** What can be fuzzed, by name. */
export const TARGETS: Readonly<Record<string, Target>> = {
  codec,
  framing,
  machine,
  config,
  proxy,
  hello,
  credentials: credentialsTarget,
}
