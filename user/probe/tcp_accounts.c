// SPDX-License-Identifier: BSD-2-Clause
#include "probe/tcp_accounts.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/mman.h>

#include "base/macros.h"

static size_t map_length(uint32_t n)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (n * sizeof(struct tcp_account) + page - 1) & ~(page - 1);
}

int tcp_accounts_open(struct tcp_accounts *a, const struct bpf_map *accounts,
		      const struct bpf_map *owners, const struct bpf_map *free)
{
	void *mapped;

	*a = (struct tcp_accounts){ .n = bpf_map__max_entries(accounts),
				    .owners_fd = bpf_map__fd(owners),
				    .free_fd = bpf_map__fd(free) };
	mapped = mmap(NULL, map_length(a->n), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(accounts), 0);
	if (mapped == MAP_FAILED)
		return -errno;
	a->accounts = mapped;
	a->memory = calloc(a->n, sizeof(*a->memory));
	return a->memory ? 0 : -ENOMEM;
}

void tcp_accounts_close(struct tcp_accounts *a)
{
	if (a->accounts)
		munmap(a->accounts, map_length(a->n));
	free(a->memory);
	*a = (struct tcp_accounts){ 0 };
}

/* The growth of one total; one that stepped back has not grown. */
static uint64_t grow(uint64_t *before, const unsigned long long *total)
{
	uint64_t now = __atomic_load_n(total, __ATOMIC_RELAXED), growth = now - *before;

	if ((int64_t)growth <= 0)
		return 0;
	*before = now;
	return growth;
}

enum tcp_account_step tcp_account_judge(const struct tcp_account *account,
					struct tcp_account_memory *memory,
					struct tcp_growth *ret_growth)
{
	uint64_t owner = memory->resting ? memory->owner :
					   __atomic_load_n(&account->owner, __ATOMIC_ACQUIRE);
	struct tcp_growth *before = &memory->totals, g;

	if (!owner)
		return TCP_ACCOUNT_NOTHING;
	memory->owner = owner;
	g = (struct tcp_growth){
		.tx_bytes = grow(&before->tx_bytes, &account->tx_bytes),
		.rx_bytes = grow(&before->rx_bytes, &account->rx_bytes),
		.retransmits = grow(&before->retransmits, &account->retransmits),
		.opened = grow(&before->opened, &account->opened),
		.accepted = grow(&before->accepted, &account->accepted),
		.closed = grow(&before->closed, &account->closed),
		.failed = grow(&before->failed, &account->failed),
	};
	if (g.tx_bytes || g.rx_bytes || g.retransmits || g.opened || g.accepted || g.closed ||
	    g.failed) {
		*ret_growth = g;
		return TCP_ACCOUNT_GREW;
	}
	return memory->resting ? TCP_ACCOUNT_PUT_BACK : TCP_ACCOUNT_RETIRE;
}

/* Programs no longer find it, and will not use it once they see the owner gone. */
static void retire(struct tcp_accounts *a, uint32_t i)
{
	bpf_map_delete_elem(a->owners_fd, &a->memory[i].owner);
	__atomic_store_n(&a->accounts[i].owner, 0, __ATOMIC_RELEASE);
	a->memory[i].resting = true;
}

static void put_back(struct tcp_accounts *a, uint32_t i)
{
	memset(&a->accounts[i], 0, sizeof(a->accounts[i]));
	a->memory[i] = (struct tcp_account_memory){ 0 };
	bpf_map_update_elem(a->free_fd, NULL, &i, BPF_ANY);
}

void tcp_accounts_read(struct tcp_accounts *a, uint64_t taken,
		       void (*each)(const struct tcp_account *account,
				    const struct tcp_growth *growth, void *context),
		       void *context)
{
	uint32_t end = MIN(taken, a->n);

	for (uint32_t i = 0; i < end; i++) {
		struct tcp_growth growth;

		switch (tcp_account_judge(&a->accounts[i], &a->memory[i], &growth)) {
		case TCP_ACCOUNT_GREW:
			each(&a->accounts[i], &growth, context);
			break;
		case TCP_ACCOUNT_RETIRE:
			retire(a, i);
			break;
		case TCP_ACCOUNT_PUT_BACK:
			put_back(a, i);
			break;
		case TCP_ACCOUNT_NOTHING:
			break;
		}
	}
}
