import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, statSync } from 'node:fs'
import { mkdir, rename, rm, symlink } from 'node:fs/promises'
import { arch, homedir, platform } from 'node:os'
import { join } from 'node:path'
import { buildBinaries } from './binaries-build.ts'
import {
  BINARY_NAMES,
  type BinaryName,
  CONTROL_PLANE_BINARIES,
  chooseSources,
  isBinaryName,
  KUBERNETES_VERSION,
  type Machine,
  missingSentence,
} from './binaries-choice.ts'
import { downloadBinaries } from './binaries-download.ts'
import { withLock } from './lock.ts'

/**
 * The Kubernetes programs that tests run: `node test/cluster/binaries.ts [name…]` prints the directory that
 * holds them. They come from `KUBEBUILDER_ASSETS`, else from the cache outside the checkout, which is filled
 * once by building them with Go or by downloading them.
 */

/** The directory that holds all the named programs; gets those that are missing. */
export async function binaryDirectory(
  names: readonly BinaryName[] = CONTROL_PLANE_BINARIES,
): Promise<string> {
  const assets = process.env.KUBEBUILDER_ASSETS
  const cache = cacheDirectory()
  await mkdir(cache, { recursive: true })
  let choice = chooseSources(names, machine(assets, cache))
  if (choice.missing.length > 0)
    choice = await withLock(`${cache}.lock`, async () => {
      const again = chooseSources(names, machine(assets, cache))
      await getMissing(again, cache)
      return { ...again, fromCache: [...again.fromCache, ...again.missing], missing: [] }
    })
  if (!assets || choice.fromAssets.length === 0) return cache
  if (choice.fromCache.length === 0) return assets
  return joinDirectories(assets, choice.fromAssets, cache, choice.fromCache)
}

async function getMissing({ missing, ways }: ReturnType<typeof chooseSources>, cache: string): Promise<void> {
  if (missing.length === 0) return
  const failures: string[] = []
  for (const way of ways) {
    console.error(`${way === 'build' ? 'building' : 'downloading'} ${missing.join(', ')} into ${cache}`)
    try {
      if (way === 'build') await buildBinaries(missing, cache)
      else await downloadBinaries(missing, cache, goPlatform())
      return
    } catch (error) {
      failures.push(`${way}: ${firstLines(error)}`)
    }
  }
  throw new Error(missingSentence(missing, failures))
}

/** One directory of links, named by what it joins, so that it can be kept. */
async function joinDirectories(
  assets: string,
  fromAssets: readonly string[],
  cache: string,
  fromCache: readonly string[],
): Promise<string> {
  const parts = JSON.stringify([assets, [...fromAssets].sort(), [...fromCache].sort()])
  const joined = join(cache, `with-assets-${createHash('sha256').update(parts).digest('hex').slice(0, 12)}`)
  const half = `${joined}.${process.pid}`
  await rm(half, { recursive: true, force: true })
  await mkdir(half)
  for (const name of fromAssets) await symlink(join(assets, name), join(half, name))
  for (const name of fromCache) await symlink(join(cache, name), join(half, name))
  await rm(joined, { recursive: true, force: true })
  await rename(half, joined)
  return joined
}

/** Runs `work` while no other process does; a lock whose owner is gone is taken over. */
function machine(assets: string | undefined, cache: string): Machine {
  return {
    ...goPlatform(),
    assets: new Set(assets ? BINARY_NAMES.filter((name) => isProgram(join(assets, name))) : []),
    cached: new Set(BINARY_NAMES.filter((name) => isProgram(join(cache, name)))),
    goVersion: goVersion(),
  }
}

function goPlatform(): { os: string; architecture: string } {
  const cpu = arch()
  return { os: platform(), architecture: cpu === 'x64' ? 'amd64' : cpu }
}

function goVersion(): string | undefined {
  try {
    return execFileSync('go', ['version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return undefined
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).size > 0
  } catch {
    return false
  }
}

function cacheDirectory(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(base, 'turnfleet', `kubernetes-${KUBERNETES_VERSION}`)
}

function firstLines(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n').slice(0, 3).join(' ').slice(0, 300)
}

if (import.meta.main) {
  const names = process.argv.slice(2)
  const unknown = names.filter((name) => !isBinaryName(name))
  if (unknown.length > 0) {
    console.error(`unknown: ${unknown.join(', ')}; known are ${BINARY_NAMES.join(', ')}`)
    process.exitCode = 2
  } else {
    await binaryDirectory(names.length > 0 ? names.filter(isBinaryName) : undefined).then(
      (directory) => console.log(directory),
      (error: Error) => {
        console.error(error.message)
        process.exitCode = 1
      },
    )
  }
}
