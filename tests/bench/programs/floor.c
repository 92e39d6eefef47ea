/* The kernel's part of an ADD and no more: a veth pair, its inside, one element of an nftables set, two sysctls, up and
 * routed. Nothing is asked, checked, recorded or undone: no plugin that does its job can be quicker.
 *
 * usage: floor NETNS HOST_IFNAME IFINDEX ADDRESS     with a table `inet floor` that has a set `ends` of ipv4_addr
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INSIDE = 1000, LOOPBACK = 1 };
static const unsigned char HOST_MAC[6] = { 0xee, 0xee, 0xee, 0xee, 0xee, 0xee };

static struct { char bytes[4096]; size_t used; struct nlmsghdr *last; } batch;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void put(const void *bytes, size_t length)
{
	memcpy(batch.bytes + batch.used, bytes, length);
	batch.used = NLMSG_ALIGN(batch.used + length);
	batch.last->nlmsg_len = (unsigned)(batch.used - (size_t)((char *)batch.last - batch.bytes));
}

static void begin(int type, int flags, const void *head, size_t length)
{
	struct nlmsghdr message = { NLMSG_HDRLEN, (unsigned short)type, (unsigned short)(NLM_F_REQUEST | flags), 1, 0 };

	batch.last = (struct nlmsghdr *)(batch.bytes + batch.used);
	put(&message, sizeof message);
	put(head, length);
}

static void attribute(int type, const void *value, size_t length)
{
	struct rtattr head = { (unsigned short)(sizeof head + length), (unsigned short)type };
	char whole[256];

	memcpy(whole, &head, sizeof head);
	memcpy(whole + sizeof head, value, length);
	put(whole, sizeof head + length);
}

static size_t nest(int type)
{
	struct rtattr head = { sizeof head, (unsigned short)type };
	size_t at = batch.used;

	put(&head, sizeof head);
	return at;
}

static void end(size_t at)
{
	((struct rtattr *)(batch.bytes + at))->rta_len = (unsigned short)(batch.used - at);
}

/* What the batch has, in one send; waits for the answer to its last message, or for the first error. */
static void ask(int protocol, struct nlmsghdr *answered)
{
	char answer[8192];
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	answered->nlmsg_flags |= NLM_F_ACK;
	if (s < 0 || send(s, batch.bytes, batch.used, 0) < 0 || recv(s, answer, sizeof answer, 0) < 0)
		fail("netlink");
	int error = ((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)answer))->error;
	if (error) {
		fprintf(stderr, "floor: netlink: %s\n", strerror(-error));
		exit(1);
	}
	close(s);
	batch.used = 0;
}

static void up(int index)
{
	struct ifinfomsg link = { .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	begin(RTM_NEWLINK, 0, &link, sizeof link);
}

static void route(int index, int bits, const struct in_addr *to, const struct in_addr *via)
{
	struct rtmsg r = { .rtm_family = AF_INET, .rtm_dst_len = (unsigned char)bits, .rtm_table = RT_TABLE_MAIN,
			   .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST,
			   .rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK };

	begin(RTM_NEWROUTE, NLM_F_CREATE, &r, sizeof r);
	if (bits)
		attribute(RTA_DST, to, sizeof *to);
	if (via)
		attribute(RTA_GATEWAY, via, sizeof *via);
	attribute(RTA_OIF, &index, sizeof index);
}

static void make_pair(int ns, const char *host, int index)
{
	struct ifinfomsg one = { .ifi_family = AF_UNSPEC, .ifi_index = index }, other = { .ifi_index = INSIDE };

	begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &one, sizeof one);
	attribute(IFLA_IFNAME, host, strlen(host) + 1);
	attribute(IFLA_ADDRESS, HOST_MAC, sizeof HOST_MAC);
	size_t info = nest(IFLA_LINKINFO);
	attribute(IFLA_INFO_KIND, "veth", 4);
	size_t data = nest(IFLA_INFO_DATA), peer = nest(VETH_INFO_PEER);
	put(&other, sizeof other);
	attribute(IFLA_IFNAME, "eth0", 5);
	attribute(IFLA_NET_NS_FD, &ns, sizeof ns);
	end(peer);
	end(data);
	end(info);
	ask(NETLINK_ROUTE, batch.last);
}

static void fill_inside(const struct in_addr *address, const struct in_addr *gateway)
{
	struct ifaddrmsg own = { .ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = INSIDE };
	struct ndmsg there = { .ndm_family = AF_INET, .ndm_ifindex = INSIDE, .ndm_state = NUD_PERMANENT };

	up(LOOPBACK);
	begin(RTM_NEWADDR, NLM_F_CREATE, &own, sizeof own);
	attribute(IFA_LOCAL, address, sizeof *address);
	attribute(IFA_ADDRESS, address, sizeof *address);
	up(INSIDE);
	begin(RTM_NEWNEIGH, NLM_F_CREATE, &there, sizeof there);
	attribute(NDA_DST, gateway, sizeof *gateway);
	attribute(NDA_LLADDR, HOST_MAC, sizeof HOST_MAC);
	route(INSIDE, 32, gateway, NULL);
	route(INSIDE, 0, NULL, gateway);
	ask(NETLINK_ROUTE, batch.last);
}

static void tell_nftables(const struct in_addr *address)
{
	struct nfgenmsg edge = { .res_id = htons(NFNL_SUBSYS_NFTABLES) }, in = { .nfgen_family = 1 /* inet */ };

	begin(NFNL_MSG_BATCH_BEGIN, 0, &edge, sizeof edge);
	begin(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM, NLM_F_CREATE, &in, sizeof in);
	struct nlmsghdr *element = batch.last;
	attribute(NFTA_SET_ELEM_LIST_TABLE, "floor", 6);
	attribute(NFTA_SET_ELEM_LIST_SET, "ends", 5);
	size_t list = nest(NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED), one = nest(NFTA_LIST_ELEM | NLA_F_NESTED);
	size_t key = nest(NFTA_SET_ELEM_KEY | NLA_F_NESTED);
	attribute(NFTA_DATA_VALUE, address, sizeof *address);
	end(key);
	end(one);
	end(list);
	begin(NFNL_MSG_BATCH_END, 0, &edge, sizeof edge);
	ask(NETLINK_NETFILTER, element);
}

static void set_sysctl(const char *host, const char *name, const char *value)
{
	char path[128];
	snprintf(path, sizeof path, "/proc/sys/net/%s", name);
	char *at = strstr(path, "HOST");
	memmove(at + strlen(host), at + 4, strlen(at + 4) + 1);
	memcpy(at, host, strlen(host));
	int file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0 || write(file, value, strlen(value)) < 0)
		fail(path);
	close(file);
}

int main(int argc, char **argv)
{
	struct in_addr address, gateway;
	int ns, back;

	if (argc != 5 || inet_pton(AF_INET, argv[4], &address) != 1 || strlen(argv[2]) >= IFNAMSIZ)
		return 2;
	inet_pton(AF_INET, "169.254.1.1", &gateway);
	int index = atoi(argv[3]);
	if ((ns = open(argv[1], O_RDONLY | O_CLOEXEC)) < 0 || (back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) < 0)
		fail(argv[1]);
	make_pair(ns, argv[2], index);
	if (setns(ns, CLONE_NEWNET))
		fail("setns");
	fill_inside(&address, &gateway);
	if (setns(back, CLONE_NEWNET))
		fail("setns");
	tell_nftables(&address);
	set_sysctl(argv[2], "ipv4/conf/HOST/forwarding", "1");
	set_sysctl(argv[2], "ipv6/conf/HOST/disable_ipv6", "1");
	up(index);
	route(index, 32, &address, NULL);
	ask(NETLINK_ROUTE, batch.last);
	return 0;
}
