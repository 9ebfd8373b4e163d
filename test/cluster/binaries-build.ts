import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  type BinaryName,
  ETCD_VERSION,
  HELM_VERSION,
  isKubernetesCommand,
  KUBERNETES_VERSION,
} from './binaries-choice.ts'

const run = promisify(execFile)
const BUILD_TIMEOUT_MS = 30 * 60_000
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

/** Builds the named programs from the Go module proxy into `directory`, each one put there whole. */
export async function buildBinaries(names: readonly BinaryName[], directory: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'turnfleet-build-'))
  try {
    const kubernetes = names.filter(isKubernetesCommand)
    if (kubernetes.length > 0) await buildKubernetes(kubernetes, join(work, 'kubernetes'), directory)
    if (names.includes('etcd')) await buildEtcd(join(work, 'etcd'), directory)
    if (names.includes('helm')) await buildHelm(join(work, 'helm'), directory)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/**
 * k8s.io/kubernetes cannot be required as it is: it pins its staging modules at v0.0.0, so each of them gets a
 * replacement by the published v0.x.y of the same release.
 */
async function buildKubernetes(names: readonly string[], work: string, directory: string): Promise<void> {
  await startModule(work, 'kubernetes-binaries')
  const version = `v${KUBERNETES_VERSION}`
  const staging = KUBERNETES_VERSION.slice('1.'.length)
  const downloaded = await go(work, 'mod', 'download', '-json', `k8s.io/kubernetes@${version}`)
  const { GoMod: modFile } = JSON.parse(downloaded) as { GoMod: string }
  const { Require: requirements } = JSON.parse(await go(work, 'mod', 'edit', '-json', modFile)) as {
    Require: { Path: string; Version: string }[]
  }
  const replacements = requirements
    .filter(({ Version }) => Version === 'v0.0.0')
    .map(({ Path }) => `-replace=${Path}=${Path}@v0.${staging}`)
  await go(work, 'mod', 'edit', `-require=k8s.io/kubernetes@${version}`, ...replacements)
  const imports = names.map((name) => `import _ "k8s.io/kubernetes/cmd/${name}"\n`)
  await writeFile(join(work, 'tools.go'), `//go:build tools\n\npackage tools\n\n${imports.join('')}`)
  await go(work, 'mod', 'tidy')
  const variable = '-X k8s.io/component-base/version'
  const minor = staging.split('.')[0]
  const flags = `-s -w ${variable}.gitVersion=${version} ${variable}.gitMajor=1 ${variable}.gitMinor=${minor}`
  for (const name of names) await build(work, `k8s.io/kubernetes/cmd/${name}`, name, directory, flags)
}

async function buildEtcd(work: string, directory: string): Promise<void> {
  await startModule(work, 'etcd-binary')
  const main = 'package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\n'
  await writeFile(join(work, 'main.go'), `${main}func main() { etcdmain.Main(os.Args) }\n`)
  await go(work, 'get', `go.etcd.io/etcd/server/v3@v${ETCD_VERSION}`)
  await build(work, '.', 'etcd', directory, '-s -w')
}

async function buildHelm(work: string, directory: string): Promise<void> {
  await startModule(work, 'helm-binary')
  await go(work, 'get', `helm.sh/helm/v3/cmd/helm@v${HELM_VERSION}`)
  await build(work, 'helm.sh/helm/v3/cmd/helm', 'helm', directory, '-s -w')
}

async function startModule(work: string, name: string): Promise<void> {
  await mkdir(work)
  await go(work, 'mod', 'init', name)
}

async function build(
  work: string,
  target: string,
  name: string,
  directory: string,
  flags: string,
): Promise<void> {
  await go(work, 'build', '-trimpath', '-ldflags', flags, '-o', join(work, name), target)
  await putWhole(join(work, name), directory, name)
}

/** A rename within the directory, so that nobody ever runs half a program. */
async function putWhole(from: string, directory: string, name: string): Promise<void> {
  const half = join(directory, `.${name}.${process.pid}`)
  await copyFile(from, half)
  await rename(half, join(directory, name))
}

async function go(cwd: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' }
  const { stdout } = await run('go', args, {
    cwd,
    env,
    timeout: BUILD_TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  })
  return stdout
}
