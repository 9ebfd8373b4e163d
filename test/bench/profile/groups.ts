/** One sample of where a server was. */
export interface Frame {
  readonly symbol: string
  /** The file that the code is of; the kernel and what was compiled at run time have names of their own. */
  readonly dso: string
}

const KERNEL: readonly (readonly [RegExp, string])[] = [
  [
    /^(entry_|do_syscall|syscall_|__x64_sys|x64_sys|asm_|srso|clear_bhb|irqentry|__get_user|__put_user|fdget|__fget|sys_)/,
    'system call entry',
  ],
  [/copy|memcpy|memset|rep_movs|rep_stos|check_object|csum/, 'copies and checksums'],
  [
    /^(ep_|do_epoll|epoll|__wake|.*wake_|.*wake_up|schedule|__schedule|finish_task|try_to_|sock_def_readable|sock_poll|.*_poll$|pick_next|enqueue_task|dequeue_|update_)/,
    'epoll and waking',
  ],
  [/^bpf_|^__bpf|^htab_|^lookup_nulls/, 'eBPF'],
  [/^(tcp_|__tcp)/, 'TCP stack'],
  [/kmem|kmalloc|kfree|slab|page_frag|alloc_pages|free_pages|obj_cgroup|memcg|mem_cgroup/, 'kernel memory'],
]

/** The kind of work that a sample belongs to. */
export function groupOf({ symbol, dso }: Frame): string {
  if (/kernel|\[k\]|vmlinux|guest/.test(dso)) {
    return KERNEL.find(([pattern]) => pattern.test(symbol))?.[1] ?? 'UDP, IP and device layers'
  }
  if (/^bpf_prog/.test(dso) || /^bpf_prog/.test(symbol)) return 'eBPF'
  if (/perf-\d+\.map|JIT|anon/.test(dso)) return 'JavaScript'
  if (/koffi/.test(dso)) return 'FFI'
  if (
    /^(sha\d|SHA\d|EVP|evp|ossl|OPENSSL|aes|AES|gcm|gcm_|CRYPTO|SSL|ssl|tls|BIO|HMAC|EC_|BN_|bn_|RAND|md5|node::crypto)/.test(
      symbol,
    )
  )
    return 'crypto'
  if (/^Builtins_/.test(symbol)) return 'JavaScript'
  if (/Heap|Scaveng|Mark|Sweep|GC|Evacuat|Zap/.test(symbol)) return 'garbage collection'
  if (/vdso|libc|libpthread/.test(dso)) return 'C library'
  return /node$/.test(dso) ? 'Node and V8' : 'the server itself'
}
