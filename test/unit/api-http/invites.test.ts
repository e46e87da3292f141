import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maskAddress } from '../../../src/api/features/email-changes/mask-address.ts'
import { csvRowsMax, readCsv } from '../../../src/api/features/invites/csv.ts'
import { newInviteToken, readInviteToken } from '../../../src/api/features/invites/token.ts'
import { isAppError } from '../../../src/shared/errors.ts'

const header = 'email,name,department,role'
const row = {
  email: 'a@x.example',
  name: 'Kim, Mina',
  department: 'quality',
  role: 'department_member',
}
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const read = (text: string) => readCsv(bytesOf(text))
const fileOf = (rows: number) => `${header}\n${'a@x.example,,quality,\n'.repeat(rows)}`
const faultOf = (bytes: Uint8Array): string => {
  try {
    readCsv(bytes)
  } catch (error) {
    if (isAppError(error, 'request.invalid')) return error.message
    throw error
  }
  return 'none'
}

describe('a CSV file', () => {
  test.each([
    ['commas', `${header}\na@x.example,"Kim, Mina",quality,department_member\n`],
    ['semicolons', `email;name;department;role\na@x.example;Kim, Mina;quality;department_member`],
    ['tabs', `email\tname\tdepartment\trole\na@x.example\tKim, Mina\tquality\tdepartment_member`],
    [
      'CRLF and a byte order mark',
      `\ufeff${header}\r\na@x.example,"Kim, Mina",quality,department_member\r\n`,
    ],
    ['old line ends', `${header}\ra@x.example,"Kim, Mina",quality,department_member\r`],
    [
      'another order and case',
      `Role,EMAIL,Department,Name\ndepartment_member,a@x.example,quality,"Kim, Mina"`,
    ],
    [
      'spaces',
      `email , name,department,role\n a@x.example ,"Kim, Mina", quality,department_member`,
    ],
  ])('with %s is read', (_name, text) => {
    expect(read(text)).toEqual([{ line: 2, values: row }])
  })

  test('tells the lines of its rows past empty lines and line breaks in quotes', () => {
    const text = `${header}\n\na@x.example,"Kim\nMina",quality,\n,,,\nb@x.example,,quality,\n`
    expect(read(text).map(({ line, values }) => [line, values.email])).toEqual([
      [4, 'a@x.example'],
      [6, 'b@x.example'],
    ])
  })

  test('may have rows that are too short or too long: they are judged on their own', () => {
    expect(read(`${header}\na@x.example\nb@x.example,B,quality,guest,more`)).toMatchObject([
      { values: { email: 'a@x.example', name: '', department: '', role: '' } },
      { values: { email: 'b@x.example', role: 'guest' } },
    ])
  })

  test('of a thousand rows is read, and one more is too many', () => {
    expect(read(fileOf(csvRowsMax))).toHaveLength(csvRowsMax)
    expect(faultOf(bytesOf(fileOf(csvRowsMax + 1)))).toContain('more than 1000 rows')
  })

  test.each([
    ['nothing', ''],
    ['no header', 'a@x.example,Mina,quality,department_member'],
    ['a column too few', 'email,name,department\na@x.example,Mina,quality'],
    ['a column twice', 'email,email,name,department,role\n'],
    ['a column too many', `${header},password\n`],
  ])('with %s is refused', (_name, text) => {
    expect(faultOf(bytesOf(text))).toContain(`must have the header ${header}`)
  })

  test('that is not CSV or not UTF-8 is refused', () => {
    expect(faultOf(bytesOf(`${header}\n"a@x.example,Mina`))).toContain('is not CSV')
    expect(faultOf(Buffer.from([0xff, 0xfe, 0x41, 0x00]))).toContain('is not UTF-8')
    expect(faultOf(bytesOf(`${header}\n${'a'.repeat(20_000)}`))).toContain('is not CSV')
  })

  test('of any bytes is read or refused, never a crash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, hasHeader) => {
        const all = hasHeader ? Buffer.concat([bytesOf(`${header}\n`), bytes]) : bytes
        expect(faultOf(all)).toEqual(expect.any(String))
      }),
    )
  })
})

describe('an invitation’s token', () => {
  const id = '01jd6z0c5m8k2v3n4p5q6r7s8t'

  test('finds its invite and proves itself, also with spaces around it', () => {
    const token = newInviteToken(id, randomBytes)
    expect(readInviteToken(` ${token.text}\n`)).toEqual({ inviteId: id, hash: token.hash })
    expect(token.hash).not.toContain(token.text.slice(27))
  })

  test.each(['', 'x', id, `${id}.`, `${id}.short`, `${id.toUpperCase()}.${'a'.repeat(43)}`])(
    '%j is none',
    (text) => {
      expect(readInviteToken(text)).toBeNull()
    },
  )
})

test.each([
  ['mina@example.com', 'm***@example.com'],
  ['m@example.com', 'm***@example.com'],
  ['"a@b"@example.com', '"***@example.com'],
  ['김미나@example.com', '김***@example.com'],
  ['', '***'],
])('the address %s is masked', (email, masked) => {
  expect(maskAddress(email)).toBe(masked)
})
