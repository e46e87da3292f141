import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { createSigningKeyStore } from '../../src/api/features/signing-keys/store.ts'
import { sealPurpose } from '../../src/api/features/signing-keys/rotate.ts'
import { projectFolder } from '../../src/local/project.ts'
import { openDatabase } from '../../src/platform/mongo/database.ts'
import { createSeal } from '../../src/platform/seal/seal.ts'
import { pollUntil, type TestAtelier } from '../support/atelier.ts'
import { knock, openSocketClient } from '../support/socket-client.ts'
import type { Notes } from './secrets-notes.ts'

/** Addresses of everybody whom the walk makes. */
export const addresses = {
  newcomer: 'nightingale@vision.example',
  moved: 'nightingale.moved@vision.example',
  invited: 'goldfinch@vision.example',
  admin: 'kingfisher@atelier.example',
  stranger: 'nobody.at.all@vision.example',
} as const

/** Passwords of the walk. They hold nothing that an address or another secret holds. */
const passwords = {
  signUp: 'orchard ladders lean against noon',
  reset: 'copper kettles argue with winter',
  changed: 'velvet engines dream of gravel',
  invited: 'paper boats cross the marble yard',
  admin: 'quartz umbrellas open under rivers',
  wrong: 'someone else typed these five words',
} as const

type Scene = {
  readonly notes: Notes
  readonly atelier: TestAtelier
  /** Called while something is stored that will be gone later. */
  readonly look: () => Promise<void>
}

/** Uses everything that knows a secret, rightly and wrongly. */
export async function walk(scene: Scene): Promise<void> {
  const { notes, atelier } = scene
  for (const [name, password] of Object.entries(passwords)) notes.keep(`password ${name}`, password)
  for (const { email, password } of atelier.accounts.users)
    notes.keep(`password ${email}`, password)
  await sendMalformed(scene)
  await signUp(scene)
  await useSessions(scene)
  await useKeys(scene)
  await useSocket(scene)
  await makePicture(scene)
  await acceptInvite(scene)
  await recover(scene)
  await createAdmin(scene)
  await keepServerKeys(scene)
}

/** What fails before anybody looks at it is quoted most easily. */
async function sendMalformed({ notes }: Scene): Promise<void> {
  const secret = passwords.wrong
  const post = 'POST /v1/sessions'
  const email = addresses.stranger
  await notes.expect(400, post, { body: `{"email":"${email}","password":"${secret}` })
  await notes.expect(400, post, { body: `{"email":"${email}","password":"${secret}"}}` })
  await notes.expect(400, post, { body: { email, password: [secret] } })
  await notes.expect(400, post, { body: { email, password: secret, again: secret } })
  await notes.expect(400, post, { body: { email: secret, password: secret } })
  await notes.expect(400, post, { body: { email, password: secret, transport: secret } })
  await notes.expect(400, post, { body: { __proto__: null, password: secret } })
  await notes.expect(415, post, { body: secret, headers: { 'content-type': 'text/plain' } })
  await notes.expect(413, post, { body: { email, password: secret, pad: 'x'.repeat(300_000) } })
  await notes.expect(404, 'GET /v1/nothing', { query: `?password=${encodeURIComponent(secret)}` })
  await notes.expect(401, 'GET /v1/users/me', { headers: { authorization: `Basic ${secret}` } })
  const basic = Buffer.from(`mina:${secret}`).toString('base64')
  await notes.expect(401, 'GET /v1/users/me', { headers: { authorization: `Basic ${basic}` } })
}

async function signUp({ notes, atelier, look }: Scene): Promise<void> {
  const email = addresses.newcomer
  const body = { email, name: 'Nari New', department: 'vision', language: 'en' }
  const password = passwords.signUp
  await notes.expect(202, 'POST /v1/sign-ups/codes', { body: { email, language: 'en' } })
  const code = notes.keepCode((await atelier.mailTo(email)).code)
  await look()
  const wrong = code === '123456' ? '654321' : '123456'
  await notes.expect(422, 'POST /v1/sign-ups', { body: { ...body, password, code: wrong } })
  await notes.expect(400, 'POST /v1/sign-ups', { body: { ...body, password: 'password12', code } })
  await notes.expect(201, 'POST /v1/sign-ups', { body: { ...body, password, code } })
  await notes.expect(422, 'POST /v1/sign-ups', { body: { ...body, password, code } })
  const { token } = await atelier.signIn('department_admin')
  const { items } = (await notes.expect(200, 'GET /v1/users', { token, query: '?role=guest' })).json
  const [guest] = items as readonly { readonly id: string }[]
  await notes.expect(200, `POST /v1/users/${guest?.id}/approve`, { token })
}

type Tokens = { readonly token: string; readonly refreshToken: string }

async function signIn({ notes }: Scene, name: string, given: object): Promise<Tokens> {
  const { json } = await notes.expect(201, 'POST /v1/sessions', { body: given })
  return {
    token: notes.keep(`access token ${name}`, json['accessToken']),
    refreshToken: notes.keep(`refresh token ${name}`, json['refreshToken']),
  }
}

async function useSessions(scene: Scene): Promise<void> {
  const { notes } = scene
  const known = { email: addresses.newcomer, password: passwords.signUp }
  const unknown = { email: addresses.stranger, password: passwords.wrong }
  const refresh = 'POST /v1/sessions/refresh'
  await notes.expect(401, 'POST /v1/sessions', { body: { ...known, password: passwords.wrong } })
  await notes.expect(401, 'POST /v1/sessions', { body: unknown })
  const { token, refreshToken } = await signIn(scene, 'first', known)
  const { json } = await notes.expect(201, refresh, { body: { refreshToken } })
  const next = notes.keep('refresh token next', json['refreshToken'])
  notes.keep('access token next', json['accessToken'])
  // Used again: the session ends for both.
  await notes.expect(401, refresh, { body: { refreshToken } })
  await notes.expect(401, refresh, { body: { refreshToken: next } })
  await notes.expect(401, 'GET /v1/users/me', { token })
  await notes.expect(401, 'GET /v1/users/me', { token: `${token.slice(0, -4)}AAAA` })
  await notes.expect(401, 'GET /v1/users/me', { query: `?access_token=${token}` })
  const inCookies = { ...known, transport: 'Cookie' }
  const { cookies } = await notes.expect(201, 'POST /v1/sessions', { body: inCookies })
  for (const [index, cookie] of cookies.entries()) {
    const [, value] = /^[^=]+=([^;]+)/.exec(cookie) ?? []
    notes.keep(`cookie ${index}`, value)
  }
  const headers = { cookie: cookies.map((cookie) => cookie.split(';')[0]).join('; ') }
  await notes.expect(403, 'DELETE /v1/sessions/current', {
    headers: { ...headers, origin: 'https://elsewhere.example' },
  })
}

async function useKeys(scene: Scene): Promise<void> {
  const { notes } = scene
  const given = { email: addresses.newcomer, password: passwords.signUp }
  const { token } = await signIn(scene, 'of keys', given)
  const body = { name: 'line 4', scopes: ['users.read_self', 'jobs.read'] }
  const { json } = await notes.expect(201, 'POST /v1/api-keys', { token, body })
  const key = notes.keep('API key', json['key'])
  notes.keep('API key’s secret', key.split('_').slice(2).join('_'))
  const basic = { authorization: `Basic ${Buffer.from(`line-4:${key}`).toString('base64')}` }
  await notes.expect(200, 'GET /v1/users/me', { token: key })
  await notes.expect(200, 'GET /v1/users/me', { headers: basic })
  await notes.expect(403, 'POST /v1/api-keys', { token: key, body })
  await notes.expect(401, 'GET /v1/users/me', { token: `${key.slice(0, -4)}AAAA` })
  await notes.expect(400, 'POST /v1/api-keys', { token, body: { ...body, key } })
  await notes.expect(204, `DELETE /v1/api-keys/${String(json['id'])}`, { token })
  await notes.expect(401, 'GET /v1/users/me', { headers: basic })
}

async function useSocket(scene: Scene): Promise<void> {
  const { notes } = scene
  const given = { email: addresses.newcomer, password: passwords.signUp }
  const { token } = await signIn(scene, 'of sockets', given)
  const { json } = await notes.expect(201, 'POST /v1/realtime/tickets', { token })
  notes.keep('ticket', json['ticket'])
  const url = String(json['url'])
  const socket = await openSocketClient(url)
  socket.send({ type: 'watch', jobs: [passwords.wrong] })
  await socket.ended
  if ((await knock(url)) !== 401) throw new Error('a ticket was good twice')
}

/** Its link lets whoever has it read the picture. */
async function makePicture({ notes, atelier }: Scene): Promise<void> {
  const member = await atelier.signIn('department_member')
  const parameters = { prompt: 'a scratch on metal', steps: 2 }
  const { id } = await member.submit({ task: 'TextToImage', model: 'demo', parameters })
  const job = await pollUntil(
    async () => await member.job(id),
    ({ state }) => state === 'Completed',
  )
  const link = new URL(job.outputs[0]?.url ?? '', atelier.apiUrl)
  const signature = notes.keep('signature of a link', link.searchParams.get('signature'))
  if (!(await fetch(link)).ok) throw new Error('the link is not good')
  const query = `?expires=1&signature=${signature}`
  await notes.expect(403, `GET ${link.pathname}`, { query })
}

async function acceptInvite({ notes, atelier }: Scene): Promise<void> {
  const { token } = await atelier.signIn('department_admin')
  const email = addresses.invited
  const invite = { email, department: 'vision', language: 'en' }
  await notes.expect(201, 'POST /v1/invites', { token, body: invite })
  const secret = notes.keep('invitation', (await atelier.mailTo(email)).token)
  notes.keep('invitation’s secret', secret.split('.')[1])
  const password = passwords.invited
  const body = { token: secret, password, name: 'Gold Finch', language: 'en' }
  const post = 'POST /v1/invites/accept'
  await notes.expect(422, post, { body: { ...body, token: `${secret.slice(0, -4)}AAAA` } })
  await notes.expect(400, post, { body: { ...body, secret } })
  const { json } = await notes.expect(201, post, { body })
  notes.keep('access token of the invited', json['accessToken'])
  notes.keep('refresh token of the invited', json['refreshToken'])
  await notes.expect(422, post, { body })
}

async function recover(scene: Scene): Promise<void> {
  const { notes, atelier, look } = scene
  const email = addresses.newcomer
  await notes.expect(202, 'POST /v1/password-resets/codes', { body: { email } })
  const code = notes.keepCode((await newCodeTo(atelier, email)).code)
  await look()
  const reset = { email, password: passwords.reset }
  await notes.expect(422, 'POST /v1/password-resets', { body: { ...reset, code: '000000' } })
  await notes.expect(204, 'POST /v1/password-resets', { body: { ...reset, code } })
  const { token } = await signIn(scene, 'after the reset', reset)
  const put = 'PUT /v1/users/me/password'
  const newPassword = passwords.changed
  const wrong = { currentPassword: passwords.wrong, newPassword }
  await notes.expect(401, put, { token, body: wrong })
  await notes.expect(204, put, { token, body: { currentPassword: passwords.reset, newPassword } })
  const moved = { email: addresses.moved, password: newPassword }
  const post = 'POST /v1/users/me/email/codes'
  await notes.expect(401, post, { token, body: { ...moved, password: passwords.wrong } })
  await notes.expect(202, post, { token, body: moved })
  const { code: movedCode } = await atelier.mailTo(addresses.moved)
  const change = { email: addresses.moved, code: notes.keepCode(movedCode) }
  await look()
  await notes.expect(200, 'PUT /v1/users/me/email', { token, body: change })
  await notes.expect(422, 'PUT /v1/users/me/email', { token, body: change })
  await signIn(scene, 'after the move', moved)
}

/** Mails about other things may come in between. */
async function newCodeTo(atelier: TestAtelier, email: string) {
  for (;;) {
    const mail = await atelier.mailTo(email)
    if (mail.code !== null) return mail
  }
}

async function createAdmin({ atelier }: Scene): Promise<void> {
  const program = join(projectFolder, 'src/api/admin-cli/main.ts')
  const who = ['--email', addresses.admin, '--name', 'King Fisher', '--password-stdin']
  for (const expected of [0, 1]) {
    const child = spawn(process.execPath, [program, 'create', ...who], {
      env: {
        PATH: process.env['PATH'],
        NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
        MONGODB_URI: atelier.mongodbUri,
        ATELIER_SECRETS_FOLDER: join(atelier.folder, 'secrets'),
      },
    })
    child.stdin.end(`${passwords.admin}\n`)
    const ended = once(child, 'exit')
    const [said, complained] = await Promise.all([text(child.stdout), text(child.stderr)])
    await ended
    if (child.exitCode !== expected) throw new Error(`admin: ${child.exitCode} ${complained}`)
    if (`${said}${complained}`.includes(passwords.admin)) throw new Error('admin says a password')
  }
}

/** What only the server knows: its keys, and what lets it into the cluster. */
async function keepServerKeys({ notes, atelier }: Scene): Promise<void> {
  const folder = join(atelier.folder, 'secrets')
  const keys = new Map<string, Buffer>()
  for (const name of ['url-key', 'seal-key']) {
    const hex = (await readFile(join(folder, name), 'utf8')).trim()
    keys.set(name, Buffer.from(hex, 'hex'))
    keepBytes(notes, name, Buffer.from(hex, 'hex'))
  }
  const seal = createSeal(keys.get('seal-key') ?? Buffer.alloc(0), () => Buffer.alloc(0))
  const database = await openDatabase({ uri: atelier.mongodbUri })
  for (const { keyId, sealedPrivateKey } of await createSigningKeyStore(database).list()) {
    const opened: unknown = JSON.parse(seal.open(sealPurpose(keyId), sealedPrivateKey))
    const { d } = opened as { readonly d: string }
    keepBytes(notes, `signing key ${keyId}`, Buffer.from(d, 'base64url'))
  }
  await database.close()
  const files = join(atelier.folder, 'service-accounts')
  for (const name of await readdir(files)) {
    const found = (await readFile(join(files, name), 'utf8')).match(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g)
    for (const [index, token] of (found ?? []).entries()) notes.keep(`${name} ${index}`, token)
  }
}

/** Bytes are secret in whatever form they are written. */
function keepBytes(notes: Notes, name: string, bytes: Buffer): void {
  for (const form of ['hex', 'base64', 'base64url'] as const) {
    notes.keep(`${name} in ${form}`, bytes.toString(form))
  }
}
