import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Throws where programs are missing, with the Debian packages that have them. */
export function requirePrograms(...programs: readonly string[]): void {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const missing = programs.filter((program) => !folders.some((folder) => existsSync(join(folder, program))))
  if (missing.length === 0) return
  throw new Error(
    `missing: ${missing.join(', ')}; install the Debian packages coturn, iproute2 and util-linux`,
  )
}
