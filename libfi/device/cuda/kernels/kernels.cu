/* SPDX-License-Identifier: MIT */
/* kernels: all of them are one module. */
#include "device/cuda/kernels/chain.cu"
#include "device/cuda/kernels/dtype.cu"
#include "device/cuda/kernels/elementwise.cu"
#include "device/cuda/kernels/function.cu"
#include "device/cuda/kernels/indexed.cu"
#include "device/cuda/kernels/move.cu"
#include "device/cuda/kernels/product.cu"
#include "device/cuda/kernels/reduce.cu"
#include "device/cuda/kernels/resample.cu"
#include "device/cuda/kernels/window.cu"
