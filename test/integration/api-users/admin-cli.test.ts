import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { type Database, openDatabase } from '../../../src/platform/mongo/database.ts'
import { testEnvironment } from '../../support/environment.ts'
import { startApi, type TestApi } from '../api-http/harness.ts'
import { otherCanaryPassword } from '../../support/canary.ts'
import { type Newcomers, openNewcomers } from './newcomers.ts'

const name = `admin-cli-${randomBytes(4).toString('hex')}`
const mongodbUri = `${testEnvironment().mongodbUri}/${name}`
const keysUri = `${mongodbUri}-keys`
const password = otherCanaryPassword
let folder = ''
let keys: Database
let api: TestApi
let newcomers: Newcomers

/** The first super admin is made before the api has ever run. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `${name}-`))
  for (const key of ['url-key', 'seal-key']) {
    await writeFile(join(folder, key), randomBytes(32).toString('hex'))
  }
  keys = await openDatabase({ uri: keysUri })
  first = await create('first@site.example', `${password}\nmore\n`)
  api = await startApi({ mongodbUri })
  newcomers = await openNewcomers(api)
})
afterAll(async () => {
  await keys.native.dropDatabase()
  await keys.close()
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

type End = { readonly code: number | null; readonly stdout: string; readonly stderr: string }
let first: End

async function admin(args: readonly string[], input = '', uri = mongodbUri): Promise<End> {
  return await run(['src/api/admin-cli/main.ts', ...args], {
    input,
    environment: { MONGODB_URI: uri, ATELIER_SECRETS_FOLDER: folder },
  })
}

type Wish = { readonly input: string; readonly environment: Readonly<Record<string, string>> }

async function run(command: readonly string[], { input, environment }: Wish): Promise<End> {
  const { PATH, NODE_COMPILE_CACHE } = process.env
  const env = { PATH, NODE_COMPILE_CACHE, ...environment }
  const child = spawn(process.execPath, command, { env })
  child.stdin.end(input)
  const ended = once(child, 'exit')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  await ended
  return { code: child.exitCode, stdout, stderr }
}

async function create(email: string, input = `${password}\n`, uri = mongodbUri): Promise<End> {
  const who = ['--email', email, '--name', 'Ada Admin', '--language', 'ko']
  return await admin(['create', ...who, '--password-stdin'], input, uri)
}

const refused = (stderr: RegExp) => ({ code: 1, stdout: '', stderr: expect.stringMatching(stderr) })
describe('npm run admin -- create', () => {
  it('makes the first super admin, who can sign in and is in the audit log', async () => {
    expect(first).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/no department platform/),
    })
    const [id, ...rest] = first.stdout.trim().split('\t')
    expect(rest).toEqual(['first@site.example', 'super_admin', 'platform', 'Active'])
    const { accessToken } = await newcomers.signIn('First@Site.example', password)
    expect(await newcomers.statusOf('/v1/users', accessToken)).toBe(200)
    const log = await api.call({
      url: `/v1/audit-log?target=${id}&action=user.created`,
      as: 'root',
    })
    const [entry] = auditLogPage.parse(log.json()).items
    expect(entry?.actor).toMatchObject({ kind: 'System', id: 'admin-cli' })
  })

  it('makes one of two that come at the same moment', async () => {
    const both = await Promise.all([create('twin@site.example'), create('Twin@site.example')])
    const [taken, ...others] = both.filter(({ code }) => code !== 0)
    expect({ taken, others }).toEqual({ taken: refused(/has an account.*set-role/), others: [] })
  })

  it('prints a password that it made as the last line', async () => {
    const who = ['--email', 'made@site.example', '--name', 'Mo']
    const { code, stdout } = await admin(['create', ...who, '--generate'])
    const made = stdout.trim().split('\n').at(-1) ?? ''
    expect({ code, length: made.length }).toEqual({ code: 0, length: 32 })
    await newcomers.signIn('made@site.example', made)
  })

  it.each([
    ['short', /10 to 128 characters/],
    ['Ada Admin 1', /too easy/],
  ])('refuses the password %j without repeating it', async (weak, message) => {
    const end = await create('weak@site.example', weak)
    expect(end).toEqual(refused(message))
    expect(end.stderr).not.toContain(weak)
  })

  it('asks nobody where there is no terminal', async () => {
    const who = ['--email', 'silent@site.example', '--name', 'Silent']
    expect(await admin(['create', ...who])).toEqual(refused(/no terminal/))
  })
})

describe('npm run admin', () => {
  it('explains itself', async () => {
    expect(await admin(['--help'])).toMatchObject({ code: 0, stderr: '' })
    const wrong = await admin(['destroy'])
    expect(wrong).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/say one/) })
  })

  it('finds the embedded environment by its data folder', async () => {
    const list = ['src/local/admin.ts', '--data', folder, 'list']
    const wish = { input: '', environment: { MONGODB_URI: mongodbUri } }
    expect(await run(list, wish)).toEqual(refused(/run npm start first/))
    await mkdir(join(folder, 'secrets'))
    expect((await run(list, wish)).stdout).toContain('first@site.example\tsuper_admin')
  })

  it('lists super admins, and gives and takes the role', async () => {
    const guest = await newcomers.create('guest')
    const role = async (to: string) =>
      await admin(['set-role', '--email', guest.email, '--role', to])
    expect((await role('super_admin')).stdout).toContain(`${guest._id}\t`)
    expect((await admin(['list'])).stdout).toContain(`${guest.email}\tsuper_admin\t`)
    expect((await role('department_member')).stdout).toContain('\tdepartment_member\t')
    expect(await newcomers.actionsOn(guest)).toEqual([
      'user.created',
      'user.approved',
      'user.role_changed',
      'user.role_changed',
    ])
    // The mail that the command owed is sent by the api.
    await api.mailTo(guest.email)
  })

  it('lets a disabled person in again', async () => {
    const person = await newcomers.create('department_member')
    await newcomers.act('root', `${person._id}/disable`)
    await expect(newcomers.signIn(person.email)).rejects.toThrow('auth.invalid_credentials')
    expect((await admin(['enable', '--email', person.email])).stdout).toMatch(/\tActive\n$/)
    await newcomers.signIn(person.email)
  })

  it('makes a signing key that only the seal can open', async () => {
    const rotated = await admin(['rotate-keys', '--revoke-old'], '', keysUri)
    expect(rotated.stdout).toMatch(/^[\w-]{43}\n$/)
    const stored = await keys.native.collection('signingKeys').find().toArray()
    expect(stored).toHaveLength(1)
    expect(JSON.stringify(stored)).not.toContain('"d":')
    await rm(join(folder, 'seal-key'))
    expect(await admin(['rotate-keys'], '', keysUri)).toEqual(refused(/seal-key cannot be read/))
  })

  it('does not take the role from the last super admin', async () => {
    const email = 'only@site.example'
    expect(await create(email, password, keysUri)).toMatchObject({ code: 0 })
    const demote = ['set-role', '--email', email, '--role', 'department_member']
    expect(await admin(demote, '', keysUri)).toEqual(refused(/no active super admin left/))
    const unknown = ['enable', '--email', 'nobody@site.example']
    expect(await admin(unknown, '', keysUri)).toEqual(refused(/no account/))
  })
})
