import { describe, expect, test } from 'vitest'
import { projectFiles, readSources } from '../../support/source-tree.ts'

const storePath = 'src/api/features/audit-log/store.ts'
const sources = readSources(projectFiles().filter((path) => path.startsWith('src/')))

describe('the audit log', () => {
  test('is opened by its store alone; only the indexes are made elsewhere', () => {
    const named = sources.filter(({ text }) => /['"`]auditLog['"`]/.test(text))
    expect(named.map(({ path }) => path)).toEqual([storePath, 'src/api/migrations/index.ts'])
  })

  test('is written by inserting and by nothing else', () => {
    const store = sources.find(({ path }) => path === storePath)
    const used = [...(store?.text ?? '').matchAll(/\bentries\.(\w+)\(/g)].map(([, name]) => name)
    expect(new Set(used)).toEqual(new Set(['insertMissing', 'find']))
    expect(store?.text).not.toMatch(/native|update|remove|delete|replace/i)
  })
})
