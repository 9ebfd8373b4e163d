import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'
import { binaryDirectory } from '../cluster/binaries.ts'
import { KUBERNETES_VERSION } from '../cluster/binaries-choice.ts'
import { command } from '../cluster/command.ts'

const CHART = fileURLToPath(new URL('../../charts/turnfleet', import.meta.url))

interface Rule {
  apiGroups: string[]
  resources: string[]
  resourceNames?: string[]
  verbs: string[]
}

interface Rendered {
  kind: string
  metadata: { name: string; namespace?: string }
  rules?: Rule[]
}

async function helm(...args: string[]): Promise<string> {
  return command(join(await binaryDirectory(['helm']), 'helm'), args)
}

async function render(...set: string[]): Promise<Rendered[]> {
  const values = set.flatMap((value) => ['--set', value])
  const text = await helm('template', 'turnfleet', CHART, '--kube-version', KUBERNETES_VERSION, ...values)
  return parseAllDocuments(text).map((document) => document.toJS() as Rendered)
}

function rulesOf(objects: Rendered[], kind: string): Rule[] {
  return objects.filter((object) => object.kind === kind).flatMap(({ rules = [] }) => rules)
}

describe('the chart', () => {
  it('passes helm lint', async () => {
    assert.match(await helm('lint', '--strict', CHART), /0 chart\(s\) failed/)
  })

  it('never lets the operator list or watch Secrets', async () => {
    for (const objects of [await render(), await render('watchNamespaces={a,b}')]) {
      const secrets = [...rulesOf(objects, 'Role'), ...rulesOf(objects, 'ClusterRole')].filter(
        ({ resources }) => resources.includes('secrets'),
      )
      assert.ok(secrets.length > 0)
      for (const { verbs } of secrets)
        assert.deepEqual(
          verbs.filter((verb) => /list|watch|\*/.test(verb)),
          [],
        )
    }
  })

  it('gives no right to Leases without leader election', async () => {
    const leases = (objects: Rendered[]) =>
      rulesOf(objects, 'Role').filter(({ resources }) => resources.includes('leases')).length
    assert.equal(leases(await render()), 0)
    assert.ok(leases(await render('leaderElection=true', 'replicas=2')) > 0)
  })

  it('serves single namespaces by Roles, with nothing cluster-wide but nodes, networks and questions', async () => {
    const objects = await render('watchNamespaces={a,b}')
    const wide = rulesOf(objects, 'ClusterRole').flatMap(({ resources }) => resources)
    assert.deepEqual(wide.sort(), ['nodes', 'servicecidrs', 'subjectaccessreviews', 'tokenreviews'])
    for (const namespace of ['a', 'b']) {
      assert.ok(objects.some(({ kind, metadata }) => kind === 'Role' && metadata.namespace === namespace))
    }
  })

  it('refuses several replicas without leader election, and values that it does not know', async () => {
    await assert.rejects(render('replicas=2'), /leaderElection: true/)
    await assert.rejects(render('replica=2'), /replica/)
    await assert.rejects(render('apiKeys.keys[0].id=app', 'apiKeys.keys[0].hash=tfk_plain'), /hash/)
  })
})
