/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    BPF iterator over the elements of a map: zt_lifetimes
 * Where:   a read() of the tracer; called for every element, and at the end
 * Since:   5.9
 * Cost:    paid by the tracer: two reads per folded lifetime, a copy of each that is
 *          over. bpf_map_lookup_batch() would walk the whole table with bpf_prog_active
 *          raised, and where that walk is preempted no kprobe's program is run for
 *          other tasks of the CPU
 * Unseen:  what is inserted or deleted during the pass
 */
struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *map;
	void *key;
	void *value;
};

int bpf_iter__bpf_map_elem(struct bpf_iter__bpf_map_elem *ctx)
{
	struct zt_lifetime *lifetime = ctx->value;

	if (!lifetime || lifetime->opened || !lifetime->so_far.exit_ns)
		return 0;
	bpf_seq_write(ctx->meta->seq, lifetime, sizeof(struct zt_event));
	return 0;
}
