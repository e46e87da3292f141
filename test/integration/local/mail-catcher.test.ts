import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { renderMail } from '../../../src/api/mail/templates/render.ts'
import { type MailCatcher, startMailCatcher } from '../../../src/local/components/mail-catcher.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { type MailTransport, openMailTransport } from '../../../src/platform/mail/transport.ts'
import type { MailContent } from '../../../src/api/mail/mailer.ts'

let folder: string
let catcher: MailCatcher
let transport: MailTransport
const printed: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atelier-mails-'))
  catcher = await startMailCatcher({
    port: 0,
    folder,
    clock: systemClock,
    print: (line) => void printed.push(line),
  })
  transport = openMailTransport(catcher.url)
})
afterAll(async () => {
  transport.close()
  await catcher.stop()
  await rm(folder, { recursive: true, force: true })
})

async function send(to: string, content: MailContent) {
  const mail = renderMail(content, { language: 'ko', publicUrl: 'http://127.0.0.1:8080' })
  const messageId = '<fixed@atelier.example>'
  const letter = { ...mail, messageId, to, from: 'Atelier <a@b.example>', date: new Date(0) }
  return await transport.send({ ...letter, headers: { 'Auto-Submitted': 'auto-generated' } })
}

test('a code is printed, kept for its owner alone, and can be waited for', async () => {
  const waiting = catcher.mailTo('ADA@mail.example')
  const content = { template: 'SignUpCode', code: '012345', minutes: 10 } as const
  expect(await send('ada@mail.example', content)).toEqual({ kind: 'Sent' })
  const mail = await waiting
  expect(mail).toMatchObject({ code: '012345', token: null, messageId: '<fixed@atelier.example>' })
  expect(mail.text).toContain('10분')
  expect(mail.html).toContain('<strong')
  expect(printed).toEqual(['  ✉ ada@mail.example: Atelier 가입 인증 코드: 012345'])
  const [file = ''] = await readdir(folder)
  expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600)
  expect(await readFile(join(folder, file), 'utf8')).toContain('Auto-Submitted: auto-generated')
})

test('no mail is returned twice: the second is waited for', async () => {
  await send('bo@mail.example', { template: 'SignUpCode', code: '111111', minutes: 10 })
  expect((await catcher.mailTo('bo@mail.example')).code).toBe('111111')
  const second = catcher.mailTo('bo@mail.example')
  await send('bo@mail.example', { template: 'SignUpCode', code: '222222', minutes: 10 })
  expect((await second).code).toBe('222222')
})

test('an invitation is printed with its token', async () => {
  const content = { template: 'Invited', token: 'a/b+c_123456', department: 'vision', days: 7 }
  await send('cy@mail.example', content as MailContent)
  expect((await catcher.mailTo('cy@mail.example')).token).toBe('a/b+c_123456')
  expect(printed.at(-1)).toBe('  ✉ cy@mail.example: Atelier에 초대합니다: a/b+c_123456')
})

test('an address cannot smuggle in another receiver or a header', async () => {
  const before = catcher.mails().length
  const content = { template: 'PasswordChanged' } as const
  for (const address of ['eve@x.example, dan@x.example', 'eve@x.example\r\nBcc: dan@x.example']) {
    await send(address, content)
  }
  for (const { to } of catcher.mails().slice(before)) expect(to).not.toBe('dan@x.example')
})

test('the newest 200 are kept', async () => {
  const content = { template: 'PasswordChanged' } as const
  for (let count = 0; count < 200; count += 1) await send('many@mail.example', content)
  await send('last@mail.example', content)
  expect(await readdir(folder)).toHaveLength(200)
  expect(catcher.mails()).toHaveLength(200)
  expect((await catcher.mailTo('last@mail.example')).subject).toContain('비밀번호')
})

test('other machines reach nothing', async () => {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  const own = addresses.find(({ internal, family }) => !internal && family === 'IPv4')
  if (own === undefined) return
  const socket = connect(Number(new URL(catcher.url).port), own.address)
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  expect(error.code).toBe('ECONNREFUSED')
})
