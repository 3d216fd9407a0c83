/* SPDX-License-Identifier: MIT */
/*
 * kernels: matrix products, attention and convolutions. A block of 256 threads computes
 * a tile of 64 x 64 outputs, each thread 4 x 4 of them in registers. Sixteen
 * steps of the sum at a time go through shared memory:
 *
 *		     right: 16 x 64
 *			 |
 *   left: 16 x 64 ----> 64 x 64 outputs, thread t has rows 4 * (t / 16) ...
 *   (transposed)			  and columns 4 * (t % 16) ...
 *
 * Each output is summed by one thread in the order of the inner index.
 */
#include "device/cuda/kernels/kernel.cuh"

#define PART 4 /* rows and columns of a thread */

/* Rows of 16-byte aligned fours; one four more than the tile spreads them over the banks. */
struct strip {
	struct finf_k_four at[FINF_K_DEPTH][FINF_K_TILE / 4 + 1];
};

FINF_K_FN void strip_put(struct strip *strip, unsigned depth, unsigned i, float v)
{
	strip->at[depth][i / 4].v[i % 4] = v;
}

/* acc += left * right, for the part of this thread. */
FINF_K_FN void multiply_add(float acc[PART][PART], const struct strip *left,
			    const struct strip *right)
{
	unsigned row = FINF_K_THREAD / 16, col = FINF_K_THREAD % 16;

#pragma unroll
	for (int depth = 0; depth < FINF_K_DEPTH; depth++) {
		struct finf_k_four l = left->at[depth][row], r = right->at[depth][col];

#pragma unroll
		for (int i = 0; i < PART; i++)
#pragma unroll
			for (int j = 0; j < PART; j++)
				acc[i][j] = finf_k_fma(l.v[i], r.v[j], acc[i][j]);
	}
}

FINF_K_FN void clear(float acc[PART][PART])
{
#pragma unroll
	for (int i = 0; i < PART; i++)
#pragma unroll
		for (int j = 0; j < PART; j++)
			acc[i][j] = 0;
}

/* ---- matrix product ---------------------------------------------------------------- */

/*
 * A strip of a factor whose outer index (rows of a, columns of b) begins at
 * outer. Neighbouring threads read along the side whose stride is 1.
 */
FINF_K_FN void load_factor(struct strip *strip, const float *x, unsigned outer, unsigned n_outer,
			   int outer_stride, unsigned inner, unsigned n_inner, int inner_stride)
{
#pragma unroll
	for (unsigned i = 0; i < FINF_K_TILE * FINF_K_DEPTH / FINF_K_THREADS; i++) {
		bool along = inner_stride == 1;
		unsigned e = FINF_K_THREAD + i * FINF_K_THREADS;
		unsigned d = along ? e % FINF_K_DEPTH : e / FINF_K_TILE;
		unsigned o = along ? e / FINF_K_DEPTH : e % FINF_K_TILE;
		bool there = outer + o < n_outer && inner + d < n_inner;

		strip_put(strip, d, o,
			  there ? x[(long long)(outer + o) * outer_stride +
				    (long long)(inner + d) * inner_stride]
				: 0);
	}
}

/* What is added to this matrix; NULL: nothing. */
FINF_K_FN const float *gemm_addend(const struct finf_gemm_args *p, unsigned matrix)
{
	return p->c ? p->c + walk_at(&p->at_c, matrix) : p->c;
}

FINF_K_FN void gemm_store(const struct finf_gemm_args *p, const float *c, unsigned matrix,
			  unsigned row, unsigned col, float sum)
{
	unsigned long long y = ((unsigned long long)matrix * p->m + row) * p->n + col;
	float v = p->alpha * sum;

	if (c)
		v = finf_k_fma(p->beta, c[(long long)row * p->c_row + (long long)col * p->c_col],
			       v);
	p->y[y] = activate(p->z ? v + p->z[y] : v, p->act);
}

FINF_K_BLOCK(gemm)
{
	FINF_K_SHARED struct strip left, right;
	unsigned matrix = FINF_K_GROUP;
	unsigned col = split(&matrix, p.col_tiles) * FINF_K_TILE;
	unsigned row = split(&matrix, p.row_tiles) * FINF_K_TILE;
	const float *a = p.a + walk_at(&p.at_a, matrix), *b = p.b + walk_at(&p.at_b, matrix);
	const float *c = gemm_addend(&p, matrix);
	float acc[PART][PART];

	clear(acc);
	for (unsigned k = 0; k < p.k; k += FINF_K_DEPTH) {
		load_factor(&left, a, row, p.m, p.a_row, k, p.k, p.a_inner);
		load_factor(&right, b, col, p.n, p.b_col, k, p.k, p.b_inner);
		FINF_K_SYNC();
		multiply_add(acc, &left, &right);
		FINF_K_SYNC();
	}
	row += FINF_K_THREAD / 16 * PART;
	col += FINF_K_THREAD % 16 * PART;
#pragma unroll
	for (unsigned i = 0; i < PART; i++)
#pragma unroll
		for (unsigned j = 0; j < PART; j++)
			if (row + i < p.m && col + j < p.n)
				gemm_store(&p, c, matrix, row + i, col + j, acc[i][j]);
}

/* A warp reads a row of a and a column of b in order of memory, at its speed. */
FINF_K_BLOCK(dot)
{
	unsigned warps = FINF_K_BLOCK_N / 32, lane = FINF_K_THREAD % 32, matrix = FINF_K_GROUP;
	unsigned out = split(&matrix, p.col_tiles) * warps + FINF_K_THREAD / 32;
	const float *a = p.a + walk_at(&p.at_a, matrix), *b = p.b + walk_at(&p.at_b, matrix);
	bool there = out < p.m * p.n;
	unsigned row = there ? out : 0, col = split(&row, p.cols);
	float sum = 0;

	for (unsigned k = lane; there && k < p.k; k += 32)
		sum = finf_k_fma(a[(long long)row * p.a_row + (long long)k * p.a_inner],
				 b[(long long)col * p.b_col + k], sum);
	sum = warp_sum(sum);
	if (there && !lane)
		gemm_store(&p, gemm_addend(&p, matrix), matrix, row, col, sum);
}

/* ---- attention --------------------------------------------------------------------- */

FINF_K_FN float attention_score(const struct finf_attention_args *p, const float *q, const float *k,
				const float *mask, unsigned col)
{
	float sum = 0;

	k += (long long)col * p->k_col;
	for (unsigned i = 0; i < p->depth; i++)
		sum = finf_k_fma(q[(long long)i * p->q_inner], k[(long long)i * p->k_inner], sum);
	sum *= p->alpha;
	return mask ? sum + mask[(long long)col * p->mask_col] : sum;
}

/*
 * The largest score first, so that no exponential overflows. Then as many weights at a time as
 * there are threads, each of which sums them up, and a column of v by them.
 */
FINF_K_BLOCK(attention)
{
	FINF_K_SHARED float weight[FINF_K_THREADS];
	unsigned matrix = FINF_K_GROUP, row = split(&matrix, p.rows);
	const float *q = p.q + walk_at(&p.at_q, matrix) + (long long)row * p.q_row;
	const float *k = p.k + walk_at(&p.at_k, matrix), *v = p.v + walk_at(&p.at_v, matrix);
	const float *mask = p.mask;
	float *y = p.y + walk_at(&p.at_y, matrix) + (long long)row * p.y_row;
	float largest = -INFINITE;

	if (mask)
		mask += walk_at(&p.at_mask, matrix) + (long long)row * p.mask_row;
	for (unsigned i = FINF_K_THREAD; i < p.cols; i += FINF_K_BLOCK_N) {
		float score = attention_score(&p, q, k, mask, i);

		largest = largest > score ? largest : score;
	}
	largest = block_fold(largest, FOLD_LARGEST);
	for (unsigned from = 0; from < p.width; from += FINF_K_BLOCK_N) {
		unsigned col = from + FINF_K_THREAD;
		float sum = 0, acc = 0;

		for (unsigned first = 0; first < p.cols; first += FINF_K_BLOCK_N) {
			unsigned own = first + FINF_K_THREAD, n = p.cols - first;

			FINF_K_SYNC(); /* the weights may still be read from the last time */
			if (own < p.cols)
				weight[FINF_K_THREAD] =
					exponential(attention_score(&p, q, k, mask, own) - largest);
			FINF_K_SYNC();
			n = n < FINF_K_BLOCK_N ? n : FINF_K_BLOCK_N;
			for (unsigned i = 0; col < p.width && i < n; i++) {
				sum += weight[i];
				acc = finf_k_fma(weight[i],
						 v[(long long)(first + i) * p.v_inner +
						   (long long)col * p.v_col],
						 acc);
			}
		}
		if (col < p.width)
			y[(long long)col * p.y_col] = activate(p.cols ? acc / sum : 0, p.act);
	}
}

/* ---- convolution --------------------------------------------------------------------- */

/* The pixel that a thread loads: its image, and where its window begins. */
struct pixel {
	const float *x; /* first channel of the group */
	int row, col;
	bool there;
};

FINF_K_FN struct pixel pixel_at(const struct finf_conv_args *p, unsigned group, unsigned i)
{
	unsigned image = i < p->pixels ? i : 0, row = split(&image, p->out_plane);
	unsigned col = split(&row, p->out_cols);
	unsigned long long channel =
		(unsigned long long)image * p->channels + (unsigned long long)group * p->group_in;
	struct pixel pixel;

	pixel.x = p->x + channel * p->rows * p->cols;
	pixel.row = (int)row * p->stride[0] - p->pad[0];
	pixel.col = (int)col * p->stride[1] - p->pad[1];
	pixel.there = i < p->pixels;
	return pixel;
}

/* Inner index k of the pixel's window: a tap of a channel, 0 in the padding. */
FINF_K_FN float window_cell(const struct finf_conv_args *p, const struct pixel *pixel, unsigned k)
{
	unsigned channel = k, row = split(&channel, p->taps), col = split(&row, p->tap_cols);
	int at_row = pixel->row + (int)row * p->dilation[0];
	int at_col = pixel->col + (int)col * p->dilation[1];

	if (!pixel->there || at_row < 0 || at_row >= (int)p->rows || at_col < 0 ||
	    at_col >= (int)p->cols)
		return 0;
	return pixel->x[((unsigned long long)channel * p->rows + (unsigned)at_row) * p->cols +
			(unsigned)at_col];
}

/* An output from its sum: one thread reads what is added there and then writes it. */
FINF_K_FN float conv_end(float sum, const float *bias, unsigned channel, const float *z,
			 unsigned long long at, struct finf_k_act act)
{
	sum += bias ? bias[channel] : 0;
	return activate(z ? sum + z[at] : sum, act);
}

FINF_K_FN void conv_store(const struct finf_conv_args *p, unsigned share, unsigned group,
			  unsigned row, unsigned pixel, float sum)
{
	unsigned image = pixel, at = split(&image, p->out_plane);
	unsigned channel = group * p->group_out + row;
	unsigned long long y = ((unsigned long long)image * p->groups.by * p->group_out + channel) *
				       p->out_plane.by +
			       at;

	if (p->partial)
		p->partial[(unsigned long long)share * p->outputs + y] = sum;
	else
		p->y[y] = conv_end(sum, p->bias, channel, p->z, y, p->act);
}

FINF_K_BLOCK(conv)
{
	FINF_K_SHARED struct strip left, right;
	unsigned share = FINF_K_GROUP; /* which part of the sum */
	unsigned col = split(&share, p.col_tiles) * FINF_K_TILE;
	unsigned row = split(&share, p.row_tiles) * FINF_K_TILE;
	unsigned group = split(&share, p.groups);
	unsigned first = share * p.split_inner, last = first + p.split_inner;
	const float *w = p.w + (unsigned long long)group * p.group_out * p.inner;
	struct pixel pixel = pixel_at(&p, group, col + FINF_K_THREAD % FINF_K_TILE);
	float acc[PART][PART];

	last = last < p.inner ? last : p.inner;
	clear(acc);
	for (unsigned k = first; k < last; k += FINF_K_DEPTH) {
		load_factor(&left, w, row, p.group_out, (int)p.inner, k, last, 1);
#pragma unroll
		for (unsigned i = 0; i < FINF_K_DEPTH * FINF_K_TILE / FINF_K_THREADS; i++) {
			unsigned d =
				FINF_K_THREAD / FINF_K_TILE + i * (FINF_K_THREADS / FINF_K_TILE);

			strip_put(&right, d, FINF_K_THREAD % FINF_K_TILE,
				  k + d < last ? window_cell(&p, &pixel, k + d) : 0);
		}
		FINF_K_SYNC();
		multiply_add(acc, &left, &right);
		FINF_K_SYNC();
	}
	row += FINF_K_THREAD / 16 * PART;
	col += FINF_K_THREAD % 16 * PART;
#pragma unroll
	for (unsigned i = 0; i < PART; i++)
#pragma unroll
		for (unsigned j = 0; j < PART; j++)
			if (row + i < p.group_out && col + j < p.pixels)
				conv_store(&p, share, group, row + i, col + j, acc[i][j]);
}

FINF_K(conv_sum)
{
	FINF_K_EACH (i, p.n) {
		unsigned channel = quotient(i, p.plane);
		float sum = 0;

		for (unsigned k = 0; k < p.splits; k++)
			sum += p.partial[(unsigned long long)k * p.n + i];
		channel = split(&channel, p.channels);
		p.y[i] = conv_end(sum, p.bias, channel, p.z, i, p.act);
	}
}

FINF_K(conv_direct)
{
	FINF_K_EACH (i, p.n) {
		unsigned image = i, col = split(&image, p.out_cols),
			 row = split(&image, p.out_rows);
		unsigned out = split(&image, p.out_channels), group = quotient(out, p.group_out);
		const float *x = p.x + ((unsigned long long)image * p.channels +
					(unsigned long long)group * p.group_in) *
					       p.rows * p.cols;
		const float *w = p.w + (unsigned long long)out * p.group_in * p.taps[0] * p.taps[1];
		int row0 = (int)row * p.stride[0] - p.pad[0];
		int col0 = (int)col * p.stride[1] - p.pad[1];
		float sum = 0;

		for (unsigned c = 0; c < p.group_in; c++, x += p.rows * p.cols)
			for (unsigned r = 0; r < p.taps[0]; r++)
				for (unsigned s = 0; s < p.taps[1]; s++, w++) {
					int at_row = row0 + (int)r * p.dilation[0];
					int at_col = col0 + (int)s * p.dilation[1];

					if (at_row >= 0 && at_row < (int)p.rows && at_col >= 0 &&
					    at_col < (int)p.cols)
						sum = finf_k_fma(x[at_row * (int)p.cols + at_col],
								 *w, sum);
				}
		p.y[i] = conv_end(sum, p.bias, out, p.z, i, p.act);
	}
}

/* ---- transposed convolution ------------------------------------------------------------- */

/* The cell that tap k brings to place o of an axis; false when there is none. */
FINF_K_FN bool cell_at(const struct finf_deconv_args *p, int axis, unsigned o, unsigned k,
		       unsigned *cell)
{
	int at = (int)o + p->pad[axis] - (int)(k * p->dilation[axis]);

	if (at < 0)
		return false;
	*cell = (unsigned)at;
	return !split(cell, p->stride[axis]) && *cell < p->in[axis];
}

/* What a tap brings from a cell: x is the products of a plane, or the first channel of a group. */
FINF_K_FN float spread(const struct finf_deconv_args *p, const float *x, const float *w,
		       unsigned tap, unsigned cell)
{
	unsigned step = p->group_out.by * p->kernel;
	float sum = 0;

	if (!w)
		return x[(unsigned long long)tap * p->cells + cell];
	for (unsigned c = 0; c < p->group_in; c++)
		sum = finf_k_fma(x[c * p->cells + cell], w[c * step + tap], sum);
	return sum;
}

FINF_K(deconv)
{
	FINF_K_EACH (i, p.n) {
		unsigned plane = i, o2 = split(&plane, p.out[2]), o1 = split(&plane, p.out[1]);
		unsigned o0 = split(&plane, p.out[0]), c0, c1, c2;
		unsigned image = plane, out = split(&image, p.out_channels);
		unsigned group = quotient(out, p.group_out);
		const float *x, *w = 0;
		float sum = p.bias ? p.bias[out] : 0;

		if (p.products) {
			x = p.products + (unsigned long long)plane * p.kernel * p.cells;
		} else {
			x = p.x + (unsigned long long)quotient(plane, p.group_out) * p.group_in *
					  p.cells;
			w = p.w + (group * (p.group_in - 1) * p.group_out.by + out) * p.kernel;
		}
		for (unsigned k0 = 0; k0 < p.taps[0]; k0++) {
			if (!cell_at(&p, 0, o0, k0, &c0))
				continue;
			for (unsigned k1 = 0; k1 < p.taps[1]; k1++) {
				unsigned first = (k0 * p.taps[1] + k1) * p.taps[2];

				if (!cell_at(&p, 1, o1, k1, &c1))
					continue;
				for (unsigned k2 = 0; k2 < p.taps[2]; k2++)
					if (cell_at(&p, 2, o2, k2, &c2))
						sum += spread(&p, x, w, first + k2,
							      (c0 * p.in[1] + c1) * p.in[2] + c2);
			}
		}
		p.y[i] = activate(sum, p.act);
	}
}

/* ---- sums of products over labels -------------------------------------------------------- */

FINF_K(einsum)
{
	FINF_K_EACH (i, p.n) {
		const float *x[FINF_K_TERMS];
		float sum = 0;

#pragma unroll
		for (unsigned t = 0; t < FINF_K_TERMS; t++)
			x[t] = t < p.terms ? p.x[t] + walk_at(&p.out[t], i) : p.x[0];
		for (unsigned s = 0; s < p.count; s++) {
			float product = 1;

#pragma unroll
			for (unsigned t = 0; t < FINF_K_TERMS; t++)
				if (t < p.terms)
					product *= x[t][walk_at(&p.sum[t], s)];
			sum += product;
		}
		p.y[i] = activate(sum, p.act);
	}
}
