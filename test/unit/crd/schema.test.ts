import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { structuralSchema } from '../../../tools/crds/schema.ts'

describe('structuralSchema', () => {
  it('writes objects without additionalProperties and with their required members', () => {
    const schema = structuralSchema(z.object({ a: z.boolean(), b: z.boolean().optional() }))
    expect(schema).toEqual({
      type: 'object',
      required: ['a'],
      properties: { a: { type: 'boolean' }, b: { type: 'boolean' } },
    })
  })

  it('does not require a member that has a default', () => {
    const schema = structuralSchema(z.object({ a: z.boolean().default(true) }))
    expect(schema).not.toHaveProperty('required')
    expect(schema).toMatchObject({ properties: { a: { default: true } } })
  })

  it.each([
    { max: 2 ** 31 - 1, min: 0, format: 'int32' },
    { max: 2 ** 31, min: 0, format: 'int64' },
    { max: 0, min: -(2 ** 31), format: 'int32' },
    { max: 0, min: -(2 ** 31) - 1, format: 'int64' },
  ])('gives integers from $min to $max the format $format', ({ min, max, format }) => {
    expect(structuralSchema(z.int().min(min).max(max))).toMatchObject({ type: 'integer', format })
  })

  it('gives numbers the format double', () => {
    expect(structuralSchema(z.number().min(0).max(1))).toEqual({
      type: 'number',
      format: 'double',
      minimum: 0,
      maximum: 1,
    })
  })

  it('leaves the shape of a time to the API server', () => {
    expect(structuralSchema(z.iso.datetime().max(40))).toEqual({
      type: 'string',
      format: 'date-time',
      maxLength: 40,
    })
  })

  it('keeps bounds, patterns, enums and descriptions', () => {
    expect(
      structuralSchema(
        z
          .array(z.enum(['A', 'B']).describe('One.'))
          .min(1)
          .max(2),
      ),
    ).toEqual({
      type: 'array',
      minItems: 1,
      maxItems: 2,
      items: { type: 'string', enum: ['A', 'B'], description: 'One.' },
    })
    expect(structuralSchema(z.string().max(3).regex(/^a+$/))).toEqual({
      type: 'string',
      maxLength: 3,
      pattern: '^a+$',
    })
  })

  it.each([
    ['a union', z.union([z.string(), z.int()])],
    ['a record', z.object({ a: z.record(z.string(), z.string()) })],
    ['two patterns', z.string().regex(/a/).regex(/b/)],
    ['null', z.object({ a: z.string().nullable() })],
    ['an exclusive bound', z.array(z.number().gt(0))],
    ['a date', z.date()],
  ])('refuses %s, which is not structural or not used', (_what, schema) => {
    expect(() => structuralSchema(schema)).toThrow(/structural|represented/)
  })
})
