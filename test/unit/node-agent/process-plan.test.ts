import { describe, expect, it } from 'vitest'
import { expand, resolveEnvironment } from '../../../src/local/node-agent/environment.ts'
import { rewritePath } from '../../../src/local/node-agent/path-rewriting.ts'
import { planProcess } from '../../../src/local/node-agent/process-plan.ts'
import { aContainer, aPlace, aPod, content, noSources } from './builders.ts'

const secrets = new Map([['keys', content({ good: '1' })]])

function withKey(name: string, key: string, optional?: boolean) {
  const secretKeyRef = { name, key, optional }
  return aContainer({ env: [{ name: 'X', valueFrom: { secretKeyRef } }] })
}

function resolve(container: ReturnType<typeof aContainer>) {
  const sources = { ...noSources, secrets }
  return resolveEnvironment(container, {}, { place: aPlace(), sources })
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
  it('lets later entries win and refer to earlier ones', () => {
    const container = aContainer({
      envFrom: [{ configMapRef: { name: 'settings' } }],
      env: [
        { name: 'COLOUR', value: 'dark $(COLOUR)' },
        { name: 'TEXT', value: 'a $(COLOUR) $(LATER)' },
        { name: 'LATER', value: 'x' },
        { name: 'NONE' },
      ],
    })
    const configMaps = new Map([['settings', content({ COLOUR: 'blue' })]])
    const sources = { ...noSources, configMaps }
    const result = resolveEnvironment(container, { HOME: '/h' }, { place: aPlace(), sources })
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
  ])('reads the field %s', (fieldPath, expected) => {
    const metadata = { labels: { 'atelier.dev/attempt': '2' }, annotations: { note: 'hi' } }
    const pod = aPod({ serviceAccountName: 'atelier-job' }, metadata)
    const container = aContainer({ env: [{ name: 'X', valueFrom: { fieldRef: { fieldPath } } }] })
    const place = aPlace(pod)
    expect(resolveEnvironment(container, {}, { place, sources: noSources }).get('X')).toBe(expected)
  })

  it('names the object or key that is missing', () => {
    expect(() => resolve(withKey('no', 'good'))).toThrow('there is no Secret no')
    expect(() => resolve(withKey('keys', 'bad'))).toThrow('Secret keys has no key bad')
  })

  it('leaves an optional variable out when its object or key is missing', () => {
    expect(resolve(withKey('no', 'good', true)).has('X')).toBe(false)
    expect(resolve(withKey('keys', 'bad', true)).has('X')).toBe(false)
    expect(resolve(withKey('keys', 'good', true)).get('X')).toBe('1')
  })
})

describe('planProcess', () => {
  const image = {
    command: ['/usr/bin/entry'],
    args: ['serve'],
    environment: {},
    rewrites: [{ from: '/models', to: '/repo/models' }],
  }
  const plan = (changes: object, environment: Readonly<Record<string, string>> = {}) =>
    planProcess(aContainer(changes), {
      image,
      environment: new Map(Object.entries(environment)),
      mounts: [{ from: '/models', to: '/volume' }],
      agentEnvironment: { AGENT: 'wins' },
      defaultWorkingFolder: '/pod',
    })

  it.each([
    [{}, ['/usr/bin/entry', 'serve']],
    [{ args: ['train'] }, ['/usr/bin/entry', 'train']],
    [{ command: ['sh'] }, ['sh']],
    [{ command: ['sh', '-c'], args: ['true'] }, ['sh', '-c', 'true']],
  ])('combines command and args of %j', (changes, expected) => {
    expect(plan(changes).command).toEqual(expected)
  })

  it('moves paths to the host, volumes before the image, after expansion', () => {
    const result = plan(
      { args: ['$(WHERE)', '--x=/models'], workingDir: '/models/a' },
      { WHERE: '/models/demo', AGENT: 'loses' },
    )
    expect(result.command).toEqual(['/usr/bin/entry', '/volume/demo', '--x=/models'])
    expect(result.environment).toEqual({ WHERE: '/volume/demo', AGENT: 'wins' })
    expect(result.workingFolder).toBe('/volume/a')
  })

  it('starts in the folder of the pod when nobody says otherwise', () => {
    expect(plan({}).workingFolder).toBe('/pod')
  })
})
