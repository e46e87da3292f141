import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testEnvironment } from '../../support/environment.ts'

const folder = path.resolve(import.meta.dirname, '../../../manifests/samples')
const run = promisify(execFile)

async function kubectl(...given: readonly string[]): Promise<string> {
  const { kubectl: command, kubeconfigPath } = testEnvironment()
  const [program = 'kubectl', ...first] = command
  const args = [...first, '--kubeconfig', kubeconfigPath, '--request-timeout=30s', ...given]
  const { stdout } = await run(program, args, { timeout: 60_000 })
  return stdout.trim()
}

/** As flags of one kubectl. Departments first: their namespaces hold the jobs. */
async function sampleFiles(): Promise<string[]> {
  return (await readdir(folder)).toSorted().map((name) => `--filename=${path.join(folder, name)}`)
}

async function selected(selector: string): Promise<string> {
  return kubectl('get', 'genjob', '-n=vision', '-o=name', `--field-selector=${selector}`)
}

async function existing(): Promise<string[]> {
  const listed = await kubectl('get', '--ignore-not-found', '-o=name', ...(await sampleFiles()))
  return listed.split('\n').filter(Boolean)
}

let before: readonly string[]

beforeAll(async () => {
  before = await existing()
})

/** Removes what this test made and nothing that somebody else had applied before. */
afterAll(async () => {
  for (const name of await existing()) {
    const namespace = namespaces.find(([kind]) => name.startsWith(kind))?.slice(1) ?? []
    if (!before.includes(name)) await kubectl('delete', '--wait=false', name, ...namespace)
  }
})

const namespaces: readonly (readonly [string, string])[] = [
  ['generationjob', '--namespace=vision'],
  ['modelpool', '--namespace=atelier-jobs'],
  ['networkpolicy', '--namespace=atelier-jobs'],
]

describe('samples', () => {
  it('are applied by kubectl with strict validation, also twice', async () => {
    const files = await sampleFiles()
    for (let time = 0; time < 2; time += 1) {
      const printed = await kubectl('apply', '--server-side', '--validate=strict', ...files)
      const lines = printed.split('\n')
      expect(lines.length).toBeGreaterThanOrEqual(files.length)
      expect(lines.filter((line) => !line.endsWith('serverside-applied'))).toEqual([])
    }
  })

  it('show what was asked for in kubectl get', async () => {
    const row = await kubectl('get', 'genjob', 'scratch-on-metal', '-n=vision', '--no-headers')
    expect(row).toMatch(/^scratch-on-metal +TextToImage +demo +vision /)
    const model = await kubectl('get', 'atmodel', 'demo', '--no-headers')
    expect(model).toMatch(
      /^demo +StableDiffusion1 +\["TextToImage","ImageToImage","Inpaint"\] +Embedded +Public/,
    )
    const department = await kubectl('get', 'atdept', 'assembly', '--no-headers')
    expect(department).toMatch(/^assembly +100 +atelier-jobs /)
    const pool = await kubectl('get', 'atpool', 'demo', '-n=atelier-jobs', '--no-headers')
    expect(pool).toMatch(/^demo +\[\{"name":"demo"\}\] +1 +2 /)
  })

  it('are found by the fields that may be selected', async () => {
    const name = 'generationjob.atelier.dev/scratch-on-metal'
    expect(await selected('spec.owner.department=vision,spec.modelRef.name=demo')).toContain(name)
    expect(await selected('spec.modelRef.name=other')).not.toContain(name)
  })

  it('are found by the category', async () => {
    const names = await kubectl('get', 'atelier', '-n=vision', '-o=name')
    expect(names).toContain('model.atelier.dev/demo')
    expect(names).toContain('department.atelier.dev/vision')
  })
})
