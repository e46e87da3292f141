import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  emailAddress,
  givenPassword,
  line,
  lines,
  mailedCode,
  newPassword,
  opaque,
} from '../../../src/shared/wire/text.ts'

const name = line({ max: 10 })
const note = lines({ max: 10 })
const accepts = (schema: z.ZodType, given: unknown): boolean => schema.safeParse(given).success

describe('a line', () => {
  test.each([
    ['a', 'a'],
    ['  a b  ', 'a b'],
    ['e\u0301', 'é'],
    ['한'.normalize('NFD'), '한'],
    ['💥', '💥'],
    ['a\u200db', 'a\u200db'],
    [`  ${'x'.repeat(10)}  `, 'x'.repeat(10)],
    ['한글은열글자까지된다'.normalize('NFD'), '한글은열글자까지된다'],
  ])('of %j is %j', (given, cleaned) => {
    expect(name.parse(given)).toBe(cleaned)
  })

  test.each([
    '',
    '   ',
    'x'.repeat(11),
    ' '.repeat(41),
    'a\nb',
    'a\tb',
    'a\0',
    'a\u009f',
    '\ud800a',
  ])('is not %j', (given) => {
    expect(accepts(name, given)).toBe(false)
  })

  test.each(['\u202a', '\u202e', '\u2066', '\u2069'])(
    'does not turn text around with %j',
    (mark) => {
      expect(accepts(name, `a${mark}b`)).toBe(false)
      expect(accepts(note, `a${mark}b`)).toBe(false)
    },
  )

  test.each([7, null, true, ['a'], { $gt: '' }])('is text, not %j', (given) => {
    expect(accepts(name, given)).toBe(false)
  })

  test('once cleaned stays as it is', () => {
    const unit = fc.constantFrom(
      'a',
      ' ',
      '\t',
      '\r',
      '\n',
      '\0',
      'e',
      '\u0301',
      '한',
      '\u1112',
      '\u1161',
    )
    const staysSame = fc.property(fc.string({ unit, maxLength: 12 }), (given) => {
      const cleaned = note.safeParse(given).data
      return cleaned === undefined || note.parse(cleaned) === cleaned
    })
    expect(fc.check(staysSame, { numRuns: 500 }).failed).toBe(false)
  })

  test('says its bounds in JSON Schema, in both directions', () => {
    for (const io of ['input', 'output'] as const) {
      expect(z.toJSONSchema(name, { io })).toMatchObject({
        type: 'string',
        minLength: 1,
        maxLength: 10,
        pattern: expect.stringContaining('\\x00'),
      })
    }
  })

  test('has a pattern that knows what is refused', () => {
    const { pattern } = z.toJSONSchema(name, { io: 'input' })
    const allowed = new RegExp(pattern ?? '')
    for (const good of ['', 'a b', '한글', '💥', 'é']) expect(allowed.test(good)).toBe(true)
    for (const bad of ['\0', 'a\n', '\u007f', '\u0085', '\u202e'])
      expect(allowed.test(bad)).toBe(false)
  })
})

describe('lines', () => {
  test.each([
    ['', ''],
    ['a\nb', 'a\nb'],
    ['a\r\nb\rc', 'a\nb\nc'],
    ['a\tb', 'a\tb'],
    [' a\n', 'a'],
  ])('of %j are %j', (given, cleaned) => {
    expect(note.parse(given)).toBe(cleaned)
  })

  test.each(['a\0b', 'a\u000bb', 'a\u000cb', '\udc00', 'x'.repeat(11)])('are not %j', (given) => {
    expect(accepts(note, given)).toBe(false)
  })
})

describe('an e-mail address', () => {
  test('is trimmed', () => {
    expect(emailAddress.parse(' mina@quality.example ')).toBe('mina@quality.example')
  })

  test.each(['a', 'a@b', 'a b@c.example', 'a\0@c.example', `${'a'.repeat(250)}@c.example`])(
    'is not %j',
    (given) => {
      expect(accepts(emailAddress, given)).toBe(false)
    },
  )
})

describe('a password', () => {
  test.each(['correct horse', '  spaces kept  ', '암호는열글자가넘어야해요', '💥'.repeat(10)])(
    'may be %j and stays as it is',
    (given) => {
      expect(newPassword.parse(given)).toBe(given)
      expect(givenPassword.parse(given)).toBe(given)
    },
  )

  test('is the same however a keyboard composes its letters, and counted after that', () => {
    const typed = '암호는열글자가넘어야해요'
    expect(newPassword.parse(typed.normalize('NFD'))).toBe(typed)
    expect(givenPassword.parse(typed.normalize('NFD'))).toBe(typed)
    expect(accepts(newPassword, '아홉글자까지는짧음'.normalize('NFD'))).toBe(false)
    expect(accepts(givenPassword, '한'.repeat(128).normalize('NFD'))).toBe(true)
  })

  test.each(['a\0bcdefghijk', 'tab\tinside it', '\ud800 half a pair', 'x'.repeat(129)])(
    'is not %j',
    (given) => {
      expect(accepts(newPassword, given)).toBe(false)
      expect(accepts(givenPassword, given)).toBe(false)
    },
  )
})

describe('what machines made', () => {
  test.each(['000000', '987654'])('a code is %j', (given) => {
    expect(mailedCode.parse(given)).toBe(given)
  })

  test.each(['12345', '1234567', '12345a', '１２３４５６', ' 12345', '12345\n'])(
    'a code is not %j',
    (given) => {
      expect(accepts(mailedCode, given)).toBe(false)
    },
  )

  test.each(['', 'a b', 'a\n', 'é', 'x'.repeat(9)])('a token is not %j', (given) => {
    expect(accepts(opaque({ max: 8 }), given)).toBe(false)
  })
})
