import { describe, expect, test } from 'vitest'
import { readCommand } from '../../../src/api/admin-cli/command.ts'

const who = ['--email', 'ada@site.example', '--name', 'Ada'] as const

describe('the arguments of npm run admin', () => {
  test('have defaults where there is a sensible one', () => {
    expect(readCommand(['create', ...who])).toEqual({
      verb: 'create',
      email: 'ada@site.example',
      name: 'Ada',
      department: 'platform',
      language: 'en',
      'password-stdin': false,
      generate: false,
    })
    expect(readCommand(['rotate-keys'])).toEqual({ verb: 'rotate-keys', 'revoke-old': false })
    expect(readCommand(['list'])).toEqual({ verb: 'list' })
  })

  test.each([
    [[], /say one of create, list/],
    [['destroy'], /say one of create, list/],
    [['create', '--email', 'x@site.example'], /--name is missing/],
    [['create', '--email', 'nobody', '--name', 'X'], /--email Invalid/],
    [['create', ...who, '--department', 'No Label'], /--department/],
    [['create', ...who, '--language', 'fr'], /--language/],
    [['create', ...who, '--password', 'secret words here'], /Unknown option '--password'/],
    [['create', ...who, '--generate', '--password-stdin'], /exclude each other/],
    [['set-role', '--email', 'x@site.example', '--role', 'guest'], /--role/],
    [['set-role', '--role', 'super_admin'], /--email is missing/],
    [['enable'], /--email is missing/],
    [['list', '--email', 'x@site.example'], /--email does not belong here/],
    [['list', 'more'], /one word too many/],
  ])('%j are wrong usage', (args, message) => {
    expect(readCommand(args)).toEqual({ problem: expect.stringMatching(message) })
  })

  test('a wish for help is no problem, whatever else is there', () => {
    expect(readCommand(['create', '--help'])).toEqual({ problem: '' })
    expect(readCommand(['-h'])).toEqual({ problem: '' })
  })
})
