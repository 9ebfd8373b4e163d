import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Lets go of what the start of this thread has left behind. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  // Only the last resort gives the emptied pages back to the system.
  if (typeof collect === 'function') collect({ type: 'major', flavor: 'last-resort' })
}
