import { userInfo } from 'node:os'
import { join } from 'node:path'
import { access, rm, writeFile } from 'node:fs/promises'
import { childEnvironment } from '../platform/config/environment.ts'
import { cacheFolder, lock, runLogged } from './bootstrap/steps.mjs'
import { askProgram, findProgram, isRoot } from './programs.ts'

/** Asked by Debian's maintainer scripts before they start a service: 101 says no. */
const policyFile = '/usr/sbin/policy-rc.d'
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin']

/** undefined when packages can be installed here, otherwise the reason why not. */
export async function whyNoPackages(
  programFolders: readonly string[],
): Promise<string | undefined> {
  if ((await findProgram('apt-get', programFolders)) === undefined) {
    return 'this machine has no apt-get (not Debian)'
  }
  return isRoot() ? undefined : `needs root to install packages (this is ${userInfo().username})`
}

/** Installs packages without starting their services. Updates the lists when the first try fails. */
export async function installPackages(
  packages: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const unlock = await lock(join(cacheFolder(), 'apt.lock'))
  const allow = await forbidServices()
  try {
    await install(packages, signal).catch(async () => {
      await runApt(['update'], signal)
      await install(packages, signal)
    })
  } finally {
    await allow()
    await unlock()
  }
}

export async function updateLists(signal: AbortSignal): Promise<void> {
  await runApt(['update'], signal)
}

/** A program that lies in a folder which the PATH of plain users lacks. */
export async function findSystemProgram(
  name: string,
  programFolders: readonly string[],
): Promise<string | undefined> {
  return findProgram(name, [...programFolders, ...systemFolders])
}

/**
 * Addresses of the Debian archives that apt uses here, so that mirrors and proxies keep working;
 * the archive of security updates is left out: it does not hold whole releases.
 */
export async function debianArchives(): Promise<readonly string[]> {
  const format = '$(SITE)|$(CODENAME)|$(LABEL)'
  const text = await askProgram('apt-get', [
    'indextargets',
    '--format',
    format,
    'Created-By: Packages',
  ])
  const sites = text
    .split('\n')
    .map((line) => line.split('|'))
    // Before the first `apt-get update` origin and label are still empty.
    .filter(([site = '', , label = '']) => label === 'Debian' || isUnknownArchive(site, label))
    .map(([site = '']) => site.replace(/\/$/, ''))
    .filter((site) => /^https?:|^file:/.test(site))
  return [...new Set(sites)]
}

function isUnknownArchive(site: string, label: string): boolean {
  return label === '' && /debian/.test(site) && !/security/.test(site)
}

/** apt's own proxy, for programs that only know the environment variable. */
export async function aptProxy(): Promise<Readonly<Record<string, string>>> {
  const text = await askProgram('apt-config', ['shell', 'PROXY', 'Acquire::http::Proxy'])
  const proxy = /^PROXY='(.*)'$/m.exec(text)?.[1]
  return proxy === undefined || proxy === '' ? {} : { http_proxy: proxy }
}

function install(packages: readonly string[], signal: AbortSignal): Promise<void> {
  return runApt(['install', '-y', '--no-install-recommends', ...packages], signal)
}

function runApt(args: readonly string[], signal: AbortSignal): Promise<void> {
  return runLogged({
    command: 'apt-get',
    args: ['-o', 'DPkg::Lock::Timeout=120', ...args],
    environment: childEnvironment({ DEBIAN_FRONTEND: 'noninteractive' }),
    logFile: join(cacheFolder(), 'logs', 'apt.log'),
    signal,
  })
}

/** Returns how to undo it. A policy that the machine has already stays as it is. */
async function forbidServices(): Promise<() => Promise<void>> {
  const exists = await access(policyFile).then(
    () => true,
    () => false,
  )
  if (exists) return () => Promise.resolve()
  await writeFile(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  return () => rm(policyFile, { force: true })
}
