/* Sends UDP packets, each of a flow of its own, and prints what one took: nanoseconds, the 10th percentile of batches. A
 * packet goes through both links, the host's rules and into the receiver's socket before the send is done.
 *
 * usage: burst SOURCE DESTINATION PORT PACKETS
 */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "timing.h"

enum { BATCH = 100, FIRST = 1024, LAST = 65000 };

int main(int argc, char **argv)
{
	struct { struct iphdr ip; struct udphdr udp; char body[18]; } packet;
	struct sockaddr_in to = { .sin_family = AF_INET };
	int packets = argc == 5 ? atoi(argv[4]) : 0;
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	memset(&packet, 0, sizeof packet);
	if (s < 0 || packets < BATCH || packets > LAST - FIRST || inet_pton(AF_INET, argv[1], &packet.ip.saddr) != 1 ||
	    inet_pton(AF_INET, argv[2], &packet.ip.daddr) != 1)
		return 2;
	to.sin_addr.s_addr = packet.ip.daddr;
	packet.ip.version = 4;
	packet.ip.ihl = 5;
	packet.ip.ttl = 64;
	packet.ip.protocol = IPPROTO_UDP;
	packet.ip.tot_len = htons(sizeof packet);
	packet.udp.dest = htons((unsigned short)atoi(argv[3]));
	packet.udp.len = htons(sizeof packet - sizeof packet.ip);
	double *took = calloc((size_t)(packets / BATCH), sizeof *took);
	if (!took)
		return 2;
	for (int batch = 0; batch < packets / BATCH; batch++) {
		double begun = now();
		for (int n = 0; n < BATCH; n++) {
			packet.udp.source = htons((unsigned short)(FIRST + batch * BATCH + n));
			if (sendto(s, &packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to) < 0)
				return 1;
		}
		took[batch] = (now() - begun) / BATCH;
	}
	say_tenth(took, packets / BATCH);
	return 0;
}
