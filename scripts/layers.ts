/** The rooms of the code and what each may import. `check-layers.ts` holds the tree against this table. */

export interface Layer {
  /** Folder or file, from the root of the repository. */
  readonly path: string
  /** Other rooms that it may import. */
  readonly rooms: readonly string[]
  /** npm packages it may import; `'any'` leaves them open. */
  readonly packages: readonly string[] | 'any'
  /** May it import `node:*` and touch clocks, randomness, timers and the process? */
  readonly pure: boolean
}

const pure = (path: string, rooms: readonly string[], packages: readonly string[] = []): Layer => ({
  path,
  rooms,
  packages,
  pure: true,
})
const shell = (path: string, rooms: readonly string[]): Layer => ({
  path,
  rooms,
  packages: 'any',
  pure: false,
})

const RELAY_FROM_OPERATOR = ['relay/api', 'relay/client', 'relay/stun']
const DECISIONS = ['operator/api', 'operator/autoscaler', 'operator/specs', 'operator/credentials']

/** The most specific path wins, so a file can be named apart from its folder. */
export const LAYERS: readonly Layer[] = [
  pure('relay/stun', []),
  pure('relay/api', [], ['zod']),
  pure('relay/turn', ['relay/stun', 'relay/api']),
  pure('relay/client', ['relay/stun']),
  shell('relay/io', ['relay/stun', 'relay/turn', 'relay/api']),
  shell('relay/shard', ['relay/stun', 'relay/turn', 'relay/api', 'relay/io']),
  shell('relay/control', ['relay/stun', 'relay/turn', 'relay/api', 'relay/io', 'relay/shard']),
  shell('relay/main.ts', [
    'relay/api',
    'relay/control',
    'relay/io',
    'relay/shard',
    'relay/stun',
    'relay/turn',
  ]),
  pure('operator/api', ['relay/api'], ['zod']),
  pure('operator/autoscaler', ['operator/api']),
  pure('operator/credentials', ['operator/api', 'operator/controller/contract.ts', 'relay/api'], ['zod']),
  pure('operator/specs', [
    'operator/api',
    'operator/credentials',
    'operator/controller/contract.ts',
    'relay/api',
  ]),
  pure('operator/controller', [...DECISIONS, 'relay/api']),
  shell('operator/controller/reconcile.ts', [...DECISIONS, 'relay/api']),
  shell('operator/fleet', [
    'operator/api',
    'operator/controller',
    'operator/credentials',
    ...RELAY_FROM_OPERATOR,
  ]),
  shell('operator/queue', []),
  shell('operator/kube', [
    'operator/queue',
    ...DECISIONS,
    'operator/controller',
    'operator/fleet',
    'operator/http',
    'relay/api',
  ]),
  shell('operator/local', [
    ...DECISIONS,
    'operator/controller',
    'operator/fleet',
    'operator/http',
    ...RELAY_FROM_OPERATOR,
  ]),
  shell('operator/console', ['operator/api']),
  shell('operator/http', [
    ...DECISIONS,
    'operator/controller',
    'operator/fleet',
    'operator/console',
    ...RELAY_FROM_OPERATOR,
  ]),
  shell('operator/cli', ['operator', 'package.json', ...RELAY_FROM_OPERATOR]),
  shell('operator/main.ts', ['operator', 'package.json', ...RELAY_FROM_OPERATOR]),
  shell('operator/standalone.ts', ['operator', 'package.json', ...RELAY_FROM_OPERATOR]),
  shell('operator/local-operator.ts', ['operator', 'package.json', ...RELAY_FROM_OPERATOR]),
]

/** npm packages and imports that only one room may have. */
export const SOLE_IMPORTERS: readonly { readonly specifier: RegExp; readonly room: string }[] = [
  { specifier: /^@kubernetes\/client-node(\/|$)/, room: 'operator/kube' },
  { specifier: /^(koffi|node:ffi)$/, room: 'relay/io/linux' },
]

/** What a pure room must not touch; each is handed in as an argument instead. */
export const IMPURE: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  {
    pattern: /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b/,
    instead: 'take the time as an argument',
  },
  {
    pattern: /\bMath\.random\b|\bcrypto\.(getRandomValues|randomUUID|subtle)\b/,
    instead: 'take randomness as an argument',
  },
  {
    pattern: /\b(setTimeout|setInterval|setImmediate|queueMicrotask)\s*\(/,
    instead: 'return a deadline; the shell owns the timers',
  },
  { pattern: /\bprocess\.[a-zA-Z]/, instead: 'take it as an argument' },
  { pattern: /\bconsole\.[a-z]/, instead: 'return what there is to say' },
  { pattern: /\bfetch\s*\(/, instead: 'leave I/O to the shell' },
]
