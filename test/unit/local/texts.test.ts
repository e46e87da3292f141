import { createServer } from 'node:net'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { bannerText } from '../../../src/local/banner.ts'
import { progressText } from '../../../src/local/first-job.ts'
import { withDatabaseName } from '../../../src/local/mongodb-uri.ts'
import { parseOptions } from '../../../src/local/options.ts'
import { checkPorts, fixedPorts, freePorts } from '../../../src/local/ports.ts'
import { imageMapText } from '../../../src/local/product.ts'
import { isAtLeast } from '../../../src/local/programs.ts'
import { serverSentEvents } from '../../../src/local/server-sent-events.ts'
import { parseImageMap } from '../../../src/local/node-agent/image-map.ts'
import { jobView } from '../../../src/shared/wire/jobs.ts'

describe('options', () => {
  test('have defaults in the data folder', () => {
    const options = parseOptions([], '/clone')
    expect(options).toMatchObject({ exit: false, help: false, folder: '/clone/.atelier' })
    expect(options.outputPath).toBe('/clone/.atelier/first-picture.png')
  })

  test('take paths from where the command was given', () => {
    const options = parseOptions(['--exit', '--output', 'a.png', '--data', '/d'], '/clone')
    expect(options).toMatchObject({ exit: true, outputPath: '/clone/a.png', folder: '/d' })
  })

  test.each([['--promt', 'x'], ['--prompt'], ['picture']])('refuse %s', (...args) => {
    expect(() => parseOptions(args, '/')).toThrow('npm start [-- OPTIONS]')
  })
})

describe('ports', () => {
  test('count up from the base', () => {
    const numbers = Object.values(fixedPorts(9000))
    expect(numbers).toEqual(numbers.map((_, index) => 9000 + index))
  })

  test('are all different when free ones are taken', async () => {
    const numbers = Object.values(await freePorts())
    expect(new Set(numbers).size).toBe(numbers.length)
    expect(numbers.every((port) => port >= 1024)).toBe(true)
  })

  test('in use are named with what they are for', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const ports = { ...(await freePorts()), redis: port }
    await expect(checkPorts(ports, ['redis', 'etcd'])).rejects.toThrow(`port ${port} (Redis). `)
    await expect(checkPorts(ports, ['etcd'])).resolves.toBeUndefined()
    server.close()
  })
})

test.each([
  ['mongodb://h', 'mongodb://h/atelier'],
  ['mongodb://h/', 'mongodb://h/atelier'],
  ['mongodb://u:p@h:1,i:2/mine?x=1', 'mongodb://u:p@h:1,i:2/mine?x=1'],
  ['mongodb://h/?replicaSet=a', 'mongodb://h/atelier?replicaSet=a'],
  ['mongodb+srv://h.example', 'mongodb+srv://h.example/atelier'],
])('%s becomes %s', (uri, expected) => {
  expect(withDatabaseName(uri, 'atelier')).toBe(expected)
})

test.each([
  ['1.35.4', '1.33', true],
  ['1.33', '1.33', true],
  ['1.32.9', '1.33', false],
  ['3.5.9', '3.5.17', false],
  ['3.6.0', '3.5.17', true],
  ['2.0', '1.33', true],
  [undefined, '1.0', false],
])('version %s against %s: %s', (version, minimum, expected) => {
  expect(isAtLeast(version, minimum)).toBe(expected)
})

describe('server-sent events', () => {
  test('are put together from pieces', async () => {
    const events = await readEvents('event: jo', 'b\nid: 1\nda', 'ta: {"a":\ndata: 1}\n', '\n')
    expect(events).toEqual([{ name: 'job', data: '{"a":\n1}' }])
  })

  test('leave out comments and an unfinished end', async () => {
    expect(await readEvents(': heartbeat\n\n', 'data: a\r\n\r\n', 'data: lost')).toEqual([
      { name: 'message', data: 'a' },
    ])
  })
})

function imageWith(models?: string) {
  const text = imageMapText({ compileCache: '/cache', models })
  return parseImageMap(JSON.parse(text)).get('atelier.dev/inference:dev')
}

test('the node agent reads the image map', () => {
  const image = imageWith()
  expect(image?.command.at(-1)).toMatch(/src\/inference\/main\.ts$/)
  expect(image?.rewrites).toEqual([{ from: '/models', to: expect.stringMatching(/\/models$/) }])
  expect(imageWith('/packs')?.rewrites).toEqual([{ from: '/models', to: '/packs' }])
})

describe('progress of a job', () => {
  const job = jobView.parse({
    id: 'j',
    task: 'TextToImage',
    model: 'demo',
    owner: { department: 'vision' },
    parameters: {},
    state: 'Running',
    reason: 'Running',
    message: '',
    conditions: [],
    progress: {
      stage: 'Denoising',
      step: 12,
      steps: 24,
      imagesDone: 0,
      images: 1,
      stepsDone: 12,
    },
    outputs: [],
    cost: { held: '1', charged: null, basis: null },
    revision: 3,
    creationTime: '2026-01-01T00:00:00Z',
    startTime: null,
    completionTime: null,
    outputsExpireTime: null,
    outputsRemovedTime: null,
    resource: null,
    urls: { self: '/a', events: '/b', cancel: '/c' },
  })

  test('is a bar while it runs', () => {
    expect(progressText(job)).toBe('Denoising      ████████████░░░░░░░░░░░░ 12/24')
  })

  test('is state and reason before there is any, and after the end', () => {
    expect(progressText({ ...job, progress: null })).toBe('Running (Running)')
    expect(progressText({ ...job, state: 'Completed', reason: 'Completed' })).toContain('Completed')
  })
})

test('the banner names address, logins and three kubectl lines for that data folder', () => {
  const text = bannerText({
    apiUrl: 'http://127.0.0.1:1',
    accounts: {
      departments: [],
      users: [
        { email: 'a@b.example', password: 'pw', name: 'A', role: 'guest', department: 'vision' },
      ],
      credits: [],
    },
    outputPath: '/p.png',
    folder: '/elsewhere',
    currentFolder: '/clone',
  })
  expect(text).toMatch(/http:\/\/127\.0\.0\.1:1 [^]*a@b\.example {2}pw {2}guest, vision/)
  expect(text.match(/npm run kubectl -- --data \/elsewhere /g)).toHaveLength(3)
})

async function readEvents(...chunks: readonly string[]) {
  const bytes = chunks.map((chunk) => new TextEncoder().encode(chunk))
  const events = []
  for await (const event of serverSentEvents(ReadableStream.from(bytes))) events.push(event)
  return events
}
