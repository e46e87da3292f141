import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { parseSync, visitorKeys } from 'oxc-parser'

/** One source file with the facts that the style rules are about. */
export type SourceFile = {
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
  /** Paths of imported files of this project; `node:` and packages are in `packages`. */
  readonly imports: readonly string[]
  readonly packages: readonly string[]
  /** Exported values; types may be exported for the sake of a signature alone. */
  readonly exports: readonly string[]
  readonly functions: readonly FunctionFact[]
  readonly casts: readonly CastFact[]
  readonly commentLines: number
}
export type FunctionFact = { readonly name: string; readonly line: number; readonly lines: number }
export type CastFact = { readonly line: number; readonly kind: 'as' | '!' | 'any' }

type Node = { readonly type: string; readonly start: number; readonly end: number } & Record<
  string,
  unknown
>

const functionTypes = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
])

/** Files that git knows or would add: generated and ignored ones stay out. */
export function projectFiles(): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    encoding: 'utf8',
  })
  const deleted = new Set(execFileSync('git', ['ls-files', '-d'], { encoding: 'utf8' }).split('\n'))
  return listed.split('\n').filter((path) => path !== '' && !deleted.has(path))
}

export function readSources(paths: readonly string[]): readonly SourceFile[] {
  return paths.filter((path) => path.endsWith('.ts')).map(readSource)
}

function readSource(path: string): SourceFile {
  const text = readFileSync(path, 'utf8')
  const { program, module, comments } = parseSync(path, text)
  const lineOf = lineIndex(text)
  const requested = [
    ...module.staticImports.map((entry) => entry.moduleRequest.value),
    ...module.staticExports.flatMap((entry) =>
      entry.entries.flatMap((one) => (one.moduleRequest === null ? [] : [one.moduleRequest.value])),
    ),
    ...dynamicImports(text),
  ]
  const facts = walk(program as unknown as Node, lineOf)
  return {
    path,
    text,
    lines: text.split('\n'),
    imports: requested
      .filter((name) => name.startsWith('.'))
      .map((name) => normalize(join(dirname(path), name))),
    packages: requested.filter((name) => !name.startsWith('.')),
    exports: module.staticExports.flatMap((entry) =>
      entry.entries.flatMap((one) =>
        one.isType || one.exportName.name === null ? [] : [one.exportName.name],
      ),
    ),
    functions: facts.functions,
    casts: facts.casts,
    commentLines: comments.reduce(
      (sum, one) => sum + lineOf(one.end - 1) - lineOf(one.start) + 1,
      0,
    ),
  }
}

function dynamicImports(text: string): readonly string[] {
  return [...text.matchAll(/import\(\s*'([^']+)'\s*\)/g)].map((match) => match[1] ?? '')
}

function lineIndex(text: string): (offset: number) => number {
  const starts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low + 1
  }
}

function walk(root: Node, lineOf: (offset: number) => number) {
  const functions: FunctionFact[] = []
  const casts: CastFact[] = []
  const visit = (node: Node, name: string): void => {
    const line = lineOf(node.start)
    if (functionTypes.has(node.type)) {
      functions.push({ name, line, lines: lineOf(node.end - 1) - line + 1 })
    }
    if (node.type === 'TSAnyKeyword') casts.push({ line, kind: 'any' })
    if (node.type === 'TSNonNullExpression') casts.push({ line, kind: '!' })
    if (node.type === 'TSAsExpression' && !isConstCast(node)) casts.push({ line, kind: 'as' })
    for (const child of childrenOf(node)) visit(child, nameOf(child, node) ?? name)
  }
  visit(root, '(file)')
  return { functions, casts }
}

function isConstCast(node: Node): boolean {
  return JSON.stringify(node['typeAnnotation']).includes('"name":"const"')
}

function nameOf(child: Node, parent: Node): string | undefined {
  const named = (child['id'] ?? parent['id'] ?? parent['key']) as
    | { name?: string }
    | null
    | undefined
  return named?.name
}

function childrenOf(node: Node): readonly Node[] {
  const keys = visitorKeys[node.type] ?? []
  return keys.flatMap((key) => {
    const value = node[key]
    return (Array.isArray(value) ? value : [value]).filter(isNode)
  })
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value
}
