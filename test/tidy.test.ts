import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { projectFiles, readSources, type SourceFile } from './support/source-tree.ts'

/** The style guide as a test: each rule lists its offenders, so an empty list is the proof. */
const files = projectFiles()
const sources = readSources(files)
const product = sources.filter(({ path }) => path.startsWith('src/'))
const byPath = new Map(sources.map((file) => [file.path, file]))

const layers: Readonly<Record<string, readonly string[]>> = {
  shared: ['shared'],
  platform: ['shared', 'platform'],
  api: ['shared', 'platform', 'api'],
  controller: ['shared', 'platform', 'controller'],
  inference: ['shared', 'platform', 'inference'],
  web: ['shared', 'web'],
  local: ['shared', 'platform', 'local'],
}

function layerOf(path: string): string {
  return path.split('/')[1] ?? ''
}

function linesMatching(set: readonly SourceFile[], pattern: RegExp): readonly string[] {
  return set.flatMap(({ path, lines }) =>
    lines.flatMap((line, index) =>
      pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [],
    ),
  )
}

describe('layers', () => {
  test('imports go down only', () => {
    const wrong = product.flatMap(({ path, imports }) =>
      imports
        .filter((target) => target.startsWith('src/'))
        .filter((target) => !(layers[layerOf(path)] ?? []).includes(layerOf(target)))
        .map((target) => `${path} imports ${target}`),
    )
    expect(wrong).toEqual([])
  })

  test('every folder of src is a known layer', () => {
    const unknown = product.filter(({ path }) => layers[layerOf(path)] === undefined)
    expect(unknown.map(({ path }) => path)).toEqual([])
  })

  test('shared code is pure: no node modules, clock, randomness or environment', () => {
    const shared = product.filter(({ path }) => path.startsWith('src/shared/'))
    const impure = shared.flatMap(({ path, packages }) =>
      packages.filter((name) => name !== 'zod').map((name) => `${path} imports ${name}`),
    )
    expect(impure).toEqual([])
    expect(
      linesMatching(shared, /Date\.now\(|Math\.random\(|process\.(env|cwd|exit)|new Date\(\)/),
    ).toEqual([])
  })

  test('pure maths never imports the runtime', () => {
    const pure = /^src\/inference\/(schedulers|tokenizers|rng|tensor)\//
    const wrong = product
      .filter(({ path }) => pure.test(path))
      .flatMap(({ path, packages, imports }) =>
        [
          ...packages.filter((name) => name.startsWith('onnxruntime')),
          ...imports.filter((target) => target.startsWith('src/inference/runtime/')),
        ].map((target) => `${path} imports ${target}`),
      )
    expect(wrong).toEqual([])
  })

  test('there are no import cycles', () => {
    expect(findCycles()).toEqual([])
  })

  test('every file is reached from a program, a package script or a test', () => {
    const reached = new Set<string>()
    const queue = entryPoints()
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (reached.has(path)) continue
      reached.add(path)
      queue.push(...(byPath.get(path)?.imports ?? []))
    }
    expect(product.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([])
  })

  test('every export is used by another file', () => {
    const words = sources.map((file) => ({ path: file.path, words: wordsOf(file) }))
    const unused = product.flatMap(({ path, exports }) =>
      exports
        .filter((name) => !words.some((file) => file.path !== path && file.words.has(name)))
        .map((name) => `${path}: ${name}`),
    )
    expect(unused).toEqual([])
  })
})

describe('sizes', () => {
  test('no file is longer than 400 lines', () => {
    const long = sources.filter(({ lines }) => lines.length > 401)
    expect(long.map(({ path, lines }) => `${path} ${lines.length}`)).toEqual([])
  })

  test('no line of code is wider than 100 columns', () => {
    expect(linesMatching(sources, /^(?!.*(https?:\/\/|^\s*['"`/])).{101,}$/)).toEqual([])
  })

  test('no function of the product is longer than 70 lines, and half have at most 10', () => {
    const functions = product.flatMap(({ path, functions: all }) =>
      all.map((one) => ({ ...one, path })),
    )
    const long = functions.filter(({ lines }) => lines > 70)
    expect(long.map(({ path, name, lines }) => `${path} ${name} ${lines}`)).toEqual([])
    const sorted = functions.map(({ lines }) => lines).toSorted((a, b) => a - b)
    expect(sorted[Math.floor(sorted.length * 0.5)]).toBeLessThanOrEqual(10)
    expect(sorted[Math.floor(sorted.length * 0.9)]).toBeLessThanOrEqual(35)
  })

  test('casts are rare: at most 2 `as` in 1,000 lines, each with a comment that says why', () => {
    const casts = product.flatMap(({ path, casts: all }) => all.map((one) => ({ ...one, path })))
    const lineCount = product.reduce((sum, { lines }) => sum + lines.length, 0)
    expect(casts.filter(({ kind }) => kind === 'as').length).toBeLessThanOrEqual(
      Math.ceil((lineCount * 2) / 1000),
    )
    const silent = casts.filter(({ path, line }) => !hasCommentNear(path, line))
    expect(silent.map(({ path, line }) => `${path}:${line}`)).toEqual([])
  })

  test('comments are 8 to 20 percent of the product', () => {
    const written = product.flatMap(({ lines }) => lines.filter((line) => line.trim() !== ''))
    const lineCount = written.length
    const commentCount = product.reduce((sum, { commentLines }) => sum + commentLines, 0)
    expect(commentCount / lineCount).toBeGreaterThan(0.08)
    expect(commentCount / lineCount).toBeLessThan(0.2)
  })
})

describe('words', () => {
  test('no file name or type is a Manager, Helper or Util', () => {
    const named = /(^|[-/])(manager|helper|util|utils|misc|common-stuff)s?\.ts$/
    const allowed = new Set(['src/controller/manager.ts'])
    expect(files.filter((path) => named.test(path) && !allowed.has(path))).toEqual([])
    expect(linesMatching(product, /\b(class|type|interface) \w*(Manager|Helper|Util)\b/)).toEqual(
      [],
    )
  })

  test('nothing names a machine path or a registry host', () => {
    const hosts = [
      ['proxy', 'golang'],
      ['registry', 'npmjs'],
      ['deb', 'debian'],
      ['pypi', 'org'],
      ['repo1', 'maven'],
    ]
    const banned = new RegExp(
      [...hosts.map((parts) => parts.join(String.raw`\.`)), '(^|[^a-zA-Z0-9_./])/work/'].join('|'),
    )
    const text = files.filter((path) => /\.(ts|mjs|md|json|ya?ml|sh|go)$|^\.ci\//.test(path))
    const wrong = text.filter(
      (path) => path !== 'test/tidy.test.ts' && banned.test(readFileSync(path, 'utf8')),
    )
    expect(wrong).toEqual([])
  })

  test('an open end carries an issue number', () => {
    const words = [['TO', 'DO'].join(''), ['FIX', 'ME'].join('')].join('|')
    const marker = new RegExp(`\\b(${words})\\b(?! ?\\(#\\d+\\))`)
    expect(linesMatching(sources, marker)).toEqual([])
  })

  test('a lint exception carries a reason', () => {
    expect(linesMatching(sources, /(oxlint|eslint)-disable(?!.*-- )/)).toEqual([])
  })

  test('tests are named by behaviour, none is focused or skipped', () => {
    const tests = sources.filter(
      ({ path }) => path.endsWith('.test.ts') && path !== 'test/tidy.test.ts',
    )
    expect(
      linesMatching(tests, /\b(test|it)(\.each\([^)]*\))?\(\s*['"`][^'"`]*\bshould\b/),
    ).toEqual([])
    expect(linesMatching(tests, /\b(test|it|describe)\.(only|skip)\b/)).toEqual([])
  })

  test('the environment is read in platform/config only, time and chance in programs only', () => {
    const outside = product.filter(
      ({ path }) => !/^src\/(platform\/(config|clock)\/|local\/)|(main|cli|child)\.ts$/.test(path),
    )
    expect(linesMatching(outside, /process\.env\b/)).toEqual([])
    expect(linesMatching(outside, /\bDate\.now\(|\bMath\.random\(|new Date\(\)/)).toEqual([])
  })

  test('nothing is typed any', () => {
    const wrong = sources.flatMap(({ path, casts }) =>
      casts.filter(({ kind }) => kind === 'any').map(({ line }) => `${path}:${line}`),
    )
    expect(wrong).toEqual([])
  })
})

describe('documents', () => {
  test('every dependency has its sentence and an exact version', () => {
    const manifest: unknown = JSON.parse(readFileSync('package.json', 'utf8'))
    const { dependencies, devDependencies } = manifest as Record<string, Record<string, string>>
    const all = Object.entries({ ...dependencies, ...devDependencies })
    const text = readFileSync('docs/dependencies.md', 'utf8')
    expect(all.filter(([name]) => !text.includes(`\`${name}\``))).toEqual([])
    expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
  })

  test('links between documents lead somewhere', () => {
    const broken = files
      .filter((path) => path.endsWith('.md') && !path.startsWith('test/goldens/data'))
      .flatMap((path) =>
        localLinks(path)
          .filter((target) => !existsSync(target))
          .map((target) => `${path} → ${target}`),
      )
    expect(broken).toEqual([])
  })

  test('generated files say so on line 1', () => {
    const generated = files.filter((path) => path.startsWith('crds/') && path.endsWith('.yaml'))
    const silent = generated.filter(
      (path) => !/generated/i.test(readFileSync(path, 'utf8').split('\n')[0] ?? ''),
    )
    expect(generated.length).toBeGreaterThan(0)
    expect(silent).toEqual([])
  })
})

function wordsOf({ text }: SourceFile): ReadonlySet<string> {
  return new Set(text.match(/[\w$]+/g))
}

function hasCommentNear(path: string, line: number): boolean {
  const lines = byPath.get(path)?.lines ?? []
  return lines.slice(Math.max(0, line - 4), line).some((text) => /\/\/|\*\/|^\s*\*/.test(text))
}

function localLinks(path: string): readonly string[] {
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/') + 1) : ''
  return [...readFileSync(path, 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(
    (match) => `${folder}${match[1]}`,
  )
}

function entryPoints(): string[] {
  const scripts = readFileSync('package.json', 'utf8')
  const spawned = product
    .map(({ path }) => path)
    .filter((path) => /\/(main|cli|child)\.ts$/.test(path))
  const named = sources.map(({ path }) => path).filter((path) => scripts.includes(path))
  const tests = sources
    .map(({ path }) => path)
    .filter((path) => /^(test|tools)\/|\.config\.ts$/.test(path))
  return [...spawned, ...named, ...tests]
}

function findCycles(): readonly string[] {
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
    if (done.has(path) || trail.includes(path)) return
    for (const next of byPath.get(path)?.imports ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const { path } of product) visit(path, [])
  return cycles
}
