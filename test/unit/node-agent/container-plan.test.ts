import { describe, expect, it } from 'vitest'
import { planContainer, rewritePath } from '../../../src/local/node-agent/container-plan.ts'
import { runFolder } from '../../../src/local/node-agent/container-process.ts'
import { expand, resolveEnvironment } from '../../../src/local/node-agent/environment.ts'
import { aContainer, aPlace, aPod } from './builders.ts'

function withKey(name: string, key: string, optional?: boolean) {
  const secretKeyRef = { name, key, optional }
  return aContainer({ env: [{ name: 'X', valueFrom: { secretKeyRef } }] })
}

async function resolve(container: ReturnType<typeof aContainer>) {
  return await resolveEnvironment(container, {}, aPlace({}, { 'Secret keys': { good: '1' } }))
}

describe('expand', () => {
  const known = new Map([
    ['NAME', 'Ada'],
    ['EMPTY', ''],
  ])
  it.each([
    ['hello $(NAME)', 'hello Ada'],
    ['$(NAME)$(NAME)', 'AdaAda'],
    ['[$(EMPTY)]', '[]'],
    ['$(NOBODY)', '$(NOBODY)'],
    ['$$(NAME)', '$(NAME)'],
    ['$$$(NAME)', '$Ada'],
    ['cost: 5$', 'cost: 5$'],
    ['$NAME ${NAME}', '$NAME ${NAME}'],
    ['$(NAME', '$(NAME'],
  ])('turns %j into %j', (text, expected) => {
    expect(expand(text, known)).toBe(expected)
  })
})

describe('rewritePath', () => {
  const rewrites = [
    { from: '/models', to: '/host/models' },
    { from: '/models/cache/', to: '/host/volume/' },
  ]
  it.each([
    ['/models', '/host/models'],
    ['/models/demo/unet', '/host/models/demo/unet'],
    ['/models/cache/a', '/host/volume/a'],
    ['/modelsish', '/modelsish'],
    ['see /models', 'see /models'],
    ['', ''],
  ])('turns %j into %j', (text, expected) => {
    expect(rewritePath(text, rewrites)).toBe(expected)
  })
})

describe('resolveEnvironment', () => {
  it('lets later entries win and refer to earlier ones', async () => {
    const configMapKeyRef = { name: 'settings', key: 'colour' }
    const container = aContainer({
      env: [
        { name: 'COLOUR', valueFrom: { configMapKeyRef } },
        { name: 'COLOUR', value: 'dark $(COLOUR)' },
        { name: 'TEXT', value: 'a $(COLOUR) $(LATER)' },
        { name: 'LATER', value: 'x' },
        { name: 'NONE' },
      ],
    })
    const place = aPlace({}, { 'ConfigMap settings': { colour: 'blue' } })
    const result = await resolveEnvironment(container, { HOME: '/h' }, place)
    expect(Object.fromEntries(result)).toEqual({
      HOME: '/h',
      COLOUR: 'dark blue',
      TEXT: 'a dark blue $(LATER)',
      LATER: 'x',
      NONE: '',
    })
  })

  it.each([
    ['metadata.name', 'picture'],
    ['metadata.namespace', 'art'],
    ['metadata.uid', 'uid-1'],
    ["metadata.labels['atelier.dev/attempt']", '2'],
    ["metadata.labels['missing']", ''],
    ["metadata.annotations['note']", 'hi'],
    ['spec.nodeName', 'node-1'],
    ['spec.serviceAccountName', 'atelier-job'],
    ['status.podIP', '127.20.0.1'],
    ['status.hostIP', '127.0.0.1'],
  ])('reads the field %s', async (fieldPath, expected) => {
    const metadata = { labels: { 'atelier.dev/attempt': '2' }, annotations: { note: 'hi' } }
    const pod = aPod({ serviceAccountName: 'atelier-job' }, metadata)
    const container = aContainer({ env: [{ name: 'X', valueFrom: { fieldRef: { fieldPath } } }] })
    expect((await resolveEnvironment(container, {}, aPlace({ pod }))).get('X')).toBe(expected)
  })

  it('names what is missing or not known', async () => {
    await expect(resolve(withKey('no', 'good'))).rejects.toThrow('there is no Secret no')
    await expect(resolve(withKey('keys', 'bad'))).rejects.toThrow('there is no key bad in keys')
    const fieldRef = { fieldPath: 'spec.colour' }
    const unknown = aContainer({ env: [{ name: 'X', valueFrom: { fieldRef } }] })
    await expect(resolve(unknown)).rejects.toThrow('spec.colour')
  })

  it('leaves an optional variable out when its object or key is missing', async () => {
    expect((await resolve(withKey('no', 'good', true))).has('X')).toBe(false)
    expect((await resolve(withKey('keys', 'bad', true))).has('X')).toBe(false)
    expect((await resolve(withKey('keys', 'good', true))).get('X')).toBe('1')
  })
})

describe('planContainer', () => {
  const image = {
    command: ['/usr/bin/entry'],
    environment: {},
    rewrites: [
      { from: '/models', to: '/repo/models' },
      { from: '/data', to: '/repo/data' },
    ],
  }
  const files = runFolder('/pod', 'main', 0)
  const plan = async (changes: object) => {
    const volumeMounts = [{ name: 'cache', mountPath: '/models' }]
    const container = aContainer({ volumeMounts, ...changes })
    return await planContainer(container, { place: aPlace(), image, files })
  }

  it.each([
    [{}, ['/usr/bin/entry']],
    [{ args: ['train'] }, ['/usr/bin/entry', 'train']],
    [{ command: ['sh'] }, ['sh']],
    [{ command: ['sh', '-c'], args: ['true'] }, ['sh', '-c', 'true']],
  ])('combines command and args of %j', async (changes, expected) => {
    expect((await plan(changes)).command).toEqual(expected)
  })

  it('moves paths to the host, volumes before the image, after expansion', async () => {
    const env = [
      { name: 'WHERE', value: '/models/demo' },
      { name: 'LOG', value: '/dev/termination-log' },
      { name: 'ATELIER_TERMINATION_LOG', value: 'loses' },
    ]
    const args = ['$(WHERE)', '--x=/models', '/data/a']
    const result = await plan({ args, env, workingDir: '/models/a' })
    const folder = '/pod/volumes/cache'
    const moved = [`${folder}/demo`, '--x=/models', '/repo/data/a']
    expect(result.command).toEqual(['/usr/bin/entry', ...moved])
    expect(result.environment).toMatchObject({
      WHERE: `${folder}/demo`,
      LOG: files.messageFile,
      ATELIER_TERMINATION_LOG: files.messageFile,
      HOSTNAME: 'picture',
    })
    expect(result.workingFolder).toBe(`${folder}/a`)
  })

  it('starts in the folder of the pod when nobody says otherwise', async () => {
    expect((await plan({})).workingFolder).toBe('/pod')
  })
})
