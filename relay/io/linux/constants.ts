/** Numbers of the Linux ABI that x86-64 and arm64 share, by the names of the C headers. */
/** prctl(2): how much later than asked for a thread may be woken, in nanoseconds. */
export const PR_SET_TIMERSLACK = 29

export const AF_UNIX = 1
export const AF_INET = 2
export const AF_INET6 = 10
export const AF_NETLINK = 16
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000

export const SOL_SOCKET = 1
export const SO_REUSEADDR = 2
export const SO_REUSEPORT = 15
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_KEEPALIVE = 9
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33

export const IPPROTO_IP = 0
export const IP_TOS = 1
export const IP_MTU_DISCOVER = 10
export const IP_RECVERR = 11
export const IP_RECVTOS = 13
export const IPPROTO_IPV6 = 41
export const IPV6_MTU_DISCOVER = 23
export const IPV6_RECVERR = 25
export const IPV6_V6ONLY = 26
export const IPV6_RECVTCLASS = 66
export const IPV6_TCLASS = 67
/** DF clear: routers may fragment. */
export const PMTUDISC_DONT = 0
/** DF set: what does not fit is refused. */
export const PMTUDISC_DO = 2

export const IPPROTO_TCP = 6
export const TCP_NODELAY = 1
export const TCP_KEEPIDLE = 4
export const SHUT_WR = 1

export const SOL_UDP = 17
export const UDP_SEGMENT = 103
export const UDP_GRO = 104
/** Datagrams that one send with UDP_SEGMENT may be cut into on every kernel that has it. */
export const UDP_SEGMENTS_MAX = 64

/** A control message that carries descriptors to another process. */
export const SCM_RIGHTS = 1
export const MSG_CTRUNC = 8
export const MSG_CMSG_CLOEXEC = 0x40000000
export const MSG_DONTWAIT = 0x40
export const MSG_ERRQUEUE = 0x2000

/** Who made an error of the error queue. */
export const SO_EE_ORIGIN_LOCAL = 1
export const SO_EE_ORIGIN_ICMP = 2
export const SO_EE_ORIGIN_ICMP6 = 3
export const MSG_NOSIGNAL = 0x4000

export const EPOLL_CLOEXEC = 0o2000000
export const EPOLL_CTL_ADD = 1
export const EPOLL_CTL_DEL = 2
export const EPOLL_CTL_MOD = 3
export const EPOLLIN = 1
export const EPOLLOUT = 4
/** This one and the next are named without being asked for. */
export const EPOLLERR = 8
export const EPOLLHUP = 16
export const EPOLLRDHUP = 0x2000
export const EPOLLET = 2 ** 31

export const EFD_NONBLOCK = 0o4000
export const EFD_CLOEXEC = 0o2000000

export const PROT_NONE = 0
export const PROT_READ_WRITE = 3
export const MAP_PRIVATE_ANONYMOUS = 0x22

export const EIO = 5
export const EAGAIN = 11
export const EINVAL = 22
export const ENFILE = 23
export const EMFILE = 24
export const EMSGSIZE = 90
export const EOPNOTSUPP = 95
export const ENOBUFS = 105
