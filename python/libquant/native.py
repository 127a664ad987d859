# SPDX-License-Identifier: MIT
"""libquant/native.py - every public struct and function of the C library, for ctypes.

One line for each function of include/libquant/, in the headers' order; tests/python
compares the two.  Nothing here is friendlier than C: the other modules of the package are.
The shared library is $LIBQUANT_LIBRARY if set, else what the system's loader finds.
"""
import ctypes
import ctypes.util
import os
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float,
                    c_int, c_int32, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p)

NO_OFFSET = 2**64 - 1
GROUP_ALL = 2**32 - 1
PLANES = 8
MAX_DIMS = 8
SPEC_TEXT = 64


# ------------------------------------------------------------------- opaque handles

class lq_ctx(Structure):
    pass


class lq_codebook(Structure):
    pass


class lq_scales(Structure):
    pass


class lq_encoder(Structure):
    pass


class lq_tensor(Structure):
    pass


class lq_acts(Structure):
    pass


class lq_prepared(Structure):
    pass


class lq_file(Structure):
    pass


class lq_writer(Structure):
    pass


class lq_checkpoint(Structure):
    pass


class lq_imatrix(Structure):
    pass


class lq_adapter(Structure):
    pass


class lq_stats(Structure):
    pass


class lq_paged(Structure):
    pass


HANDLES = (lq_ctx, lq_codebook, lq_scales, lq_encoder, lq_tensor, lq_prepared, lq_acts, lq_file,
           lq_writer, lq_checkpoint, lq_imatrix, lq_adapter, lq_stats, lq_paged)

# ------------------------------------------------------------------------ callbacks

ALLOC_FN = CFUNCTYPE(c_void_p, c_void_p, c_size_t, c_size_t)
FREE_FN = CFUNCTYPE(None, c_void_p, c_void_p)
TASK_FN = CFUNCTYPE(None, c_void_p, c_size_t)
PARALLEL_FN = CFUNCTYPE(None, c_void_p, c_size_t, TASK_FN, c_void_p)
PROGRESS_FN = CFUNCTYPE(c_int, c_void_p, c_uint64, c_uint64, c_char_p)
SINK_FN = CFUNCTYPE(c_int32, c_void_p, c_int, c_uint64, c_void_p, c_size_t)


# -------------------------------------------------------------------------- structs

class lq_error(Structure):
    _fields_ = [("struct_size", c_size_t), ("status", c_int32), ("system", c_int32),
                ("offset", c_uint64), ("file", c_char * 256), ("name", c_char * 128),
                ("message", c_char * 384)]


class lq_allocator(Structure):
    _fields_ = [("alloc", ALLOC_FN), ("free", FREE_FN), ("user", c_void_p)]


class lq_ctx_opts(Structure):
    _fields_ = [("struct_size", c_size_t), ("allocator", lq_allocator), ("level", c_int32),
                ("threads", c_uint32), ("spin_us", c_uint32), ("parallel_for", PARALLEL_FN),
                ("parallel_user", c_void_p)]


class lq_progress(Structure):
    _fields_ = [("report", PROGRESS_FN), ("user", c_void_p)]


class lq_format_info(Structure):
    _fields_ = [("struct_size", c_size_t), ("id", c_int32), ("storage", c_int32),
                ("name", c_char_p), ("text", c_char_p), ("block_len", c_uint32),
                ("block_bytes", c_uint32), ("row_bytes", c_uint32), ("bits", c_uint32),
                ("unit", c_uint32), ("gguf_type", c_int32), ("default_spec", c_char_p),
                ("dtype", c_int32), ("reserved", c_int32)]


class lq_spec(Structure):
    _fields_ = [("struct_size", c_size_t), ("format", c_int32), ("group_rows", c_uint32),
                ("group_cols", c_uint32), ("scale_type", c_int32), ("zeros", c_int32),
                ("scale2_block", c_uint32), ("flags", c_uint32),
                ("codebook", POINTER(lq_codebook)), ("scale_mode", c_int32),
                ("reserved", c_int32)]


class lq_shape(Structure):
    _fields_ = [("outer", c_uint64), ("rows", c_uint64), ("cols", c_uint64)]


class lq_scales_opts(Structure):
    _fields_ = [("struct_size", c_size_t), ("type", c_int32), ("scale2_block", c_uint32),
                ("offset", POINTER(c_float))]


class lq_rows(Structure):
    _fields_ = [("struct_size", c_size_t), ("spec", POINTER(lq_spec)),
                ("plane", c_void_p * PLANES), ("stride", c_uint64), ("rows", c_uint64),
                ("cols", c_uint64)]


class lq_encode_opts(Structure):
    _fields_ = [("struct_size", c_size_t), ("nonfinite", c_int32), ("search", c_int32),
                ("importance", POINTER(c_float)), ("offset", POINTER(c_float)),
                ("progress", lq_progress)]


class lq_gptq(Structure):
    _fields_ = [("struct_size", c_size_t), ("version", c_int32), ("reserved", c_int32),
                ("qweight", c_void_p), ("qzeros", c_void_p), ("scales", c_void_p),
                ("g_idx", c_void_p), ("qweight_bytes", c_uint64),
                ("qzeros_bytes", c_uint64), ("scales_bytes", c_uint64),
                ("g_idx_bytes", c_uint64)]


class lq_awq(Structure):
    _fields_ = [("struct_size", c_size_t), ("version", c_int32), ("reserved", c_int32),
                ("qweight", c_void_p), ("qzeros", c_void_p), ("scales", c_void_p),
                ("qweight_bytes", c_uint64), ("qzeros_bytes", c_uint64),
                ("scales_bytes", c_uint64)]


class lq_compressed(Structure):
    _fields_ = [("struct_size", c_size_t), ("form", c_int32), ("reserved", c_int32),
                ("packed", c_void_p), ("zero_point", c_void_p), ("packed_bytes", c_uint64),
                ("zero_point_bytes", c_uint64)]


class lq_prepare_opts(Structure):
    _fields_ = [("struct_size", c_size_t), ("memory", c_void_p), ("memory_bytes", c_uint64)]


class lq_matmul_args(Structure):
    _fields_ = [("struct_size", c_size_t), ("n", c_uint64), ("row0", c_uint64),
                ("row1", c_uint64), ("x", c_void_p), ("x_type", c_int32),
                ("y_type", c_int32), ("ldx", c_uint64), ("ldy", c_uint64), ("y", c_void_p),
                ("bias", POINTER(c_float)), ("accumulate", c_int32), ("mode", c_int32),
                ("work", c_void_p), ("work_bytes", c_uint64), ("acts", c_void_p),
                ("threshold", c_float), ("reserved", c_int32)]


class lq_gemm_args(Structure):
    _fields_ = [("struct_size", c_size_t), ("m", c_uint64), ("n", c_uint64), ("k", c_uint64),
                ("a", c_void_p), ("b", c_void_p), ("c", c_void_p), ("lda", c_uint64),
                ("ldb", c_uint64), ("ldc", c_uint64), ("a_type", c_int32),
                ("b_type", c_int32), ("c_type", c_int32), ("trans_a", c_int32),
                ("trans_b", c_int32), ("accumulate", c_int32), ("lower", c_int32),
                ("alpha", c_float)]


class lq_stats_opts(Structure):
    _fields_ = [("struct_size", c_size_t), ("gram", c_int32), ("reserved", c_int32),
                ("gram_row0", c_uint64), ("gram_row1", c_uint64)]


class lq_stat(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("cols", c_uint64),
                ("count", c_uint64), ("sum_sq", POINTER(c_double)),
                ("sum_abs", POINTER(c_double)), ("gram", c_int32), ("reserved", c_int32)]


class lq_gptq_opts(Structure):
    _fields_ = [("struct_size", c_size_t), ("order", c_int32), ("running", c_int32),
                ("clip", c_int32), ("sweeps", c_int32), ("damp", c_float),
                ("nonfinite", c_int32), ("search", c_int32), ("reserved", c_int32),
                ("progress", lq_progress)]


class lq_gptq_result(Structure):
    _fields_ = [("struct_size", c_size_t), ("solved", c_int32), ("damp", c_float),
                ("dead", c_uint64), ("loss", c_double)]


class lq_optimizer(Structure):
    _fields_ = [("struct_size", c_size_t), ("rule", c_int32), ("state_bits", c_uint32),
                ("step", c_uint64), ("lr", c_float), ("beta1", c_float), ("beta2", c_float),
                ("eps", c_float), ("weight_decay", c_float), ("grad_scale", c_float)]


class lq_params(Structure):
    _fields_ = [("struct_size", c_size_t), ("n", c_uint64), ("values", POINTER(c_float)),
                ("grads", POINTER(c_float)), ("m", c_void_p), ("v", c_void_p),
                ("m_scales", c_void_p), ("v_scales", c_void_p)]


class lq_lora(Structure):
    _fields_ = [("struct_size", c_size_t), ("base", POINTER(lq_rows)),
                ("prepared", POINTER(lq_prepared)), ("mode", c_int32), ("type", c_int32),
                ("rank", c_uint32), ("scale", c_float), ("a", c_void_p), ("b", c_void_p),
                ("bias", POINTER(c_float))]


class lq_lora_args(Structure):
    _fields_ = [("struct_size", c_size_t), ("n", c_uint64), ("x", c_void_p), ("y", c_void_p),
                ("keep", c_void_p), ("xa", POINTER(c_float)), ("ldx", c_uint64),
                ("ldy", c_uint64), ("x_type", c_int32), ("y_type", c_int32),
                ("keep_scale", c_float), ("add_y", c_int32)]


class lq_lora_grads(Structure):
    _fields_ = [("struct_size", c_size_t), ("dy", c_void_p), ("dx", c_void_p),
                ("da", POINTER(c_float)), ("db", POINTER(c_float)), ("lddy", c_uint64),
                ("lddx", c_uint64), ("dy_type", c_int32), ("dx_type", c_int32),
                ("add_dx", c_int32), ("add_da", c_int32), ("add_db", c_int32)]


class lq_fake(Structure):
    _fields_ = [("struct_size", c_size_t), ("rule", c_int32), ("spec", POINTER(lq_spec)),
                ("opts", POINTER(lq_encode_opts)), ("scales", POINTER(c_float)),
                ("zeros", POINTER(c_float)), ("history", POINTER(c_float)),
                ("history_length", c_uint32), ("grad_factor", c_float)]


class lq_fake_grads(Structure):
    _fields_ = [("struct_size", c_size_t), ("x", POINTER(c_float)), ("dy", POINTER(c_float)),
                ("dx", POINTER(c_float)), ("dscales", POINTER(c_float)),
                ("dzeros", POINTER(c_float))]


class lq_merge_report(Structure):
    _fields_ = [("struct_size", c_size_t), ("squares", c_double), ("change", c_double),
                ("error", c_double)]


class lq_paged_opts(Structure):
    _fields_ = [("struct_size", c_size_t), ("directory", c_char_p), ("budget_bytes", c_uint64)]


class lq_paged_info(Structure):
    _fields_ = [("struct_size", c_size_t), ("budget", c_uint64), ("bytes", c_uint64),
                ("resident", c_uint64), ("read", c_uint64), ("written", c_uint64)]


class lq_file_opts(Structure):
    _fields_ = [("struct_size", c_size_t), ("strict", c_int32), ("map", c_int32),
                ("max_header", c_uint64), ("max_tensors", c_uint64)]


class lq_adapter_config(Structure):
    _fields_ = [("struct_size", c_size_t), ("base_model", c_char_p), ("task", c_char_p),
                ("targets", POINTER(c_char_p)), ("target_count", c_uint64),
                ("alpha", c_double), ("dropout", c_double), ("rank", c_uint32),
                ("rank_stabilised", c_int32)]


class lq_adapter_module(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("rows", c_uint64),
                ("cols", c_uint64), ("a", c_void_p), ("b", c_void_p), ("type", c_int32),
                ("rank", c_uint32), ("scale", c_float)]


class lq_file_tensor(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("dtype", c_int32),
                ("format", c_int32), ("n_dims", c_uint32), ("dims", c_uint64 * MAX_DIMS),
                ("offset", c_uint64), ("bytes", c_uint64), ("file", c_char_p)]


class lq_meta(Structure):
    _fields_ = [("struct_size", c_size_t), ("key", c_char_p), ("type", c_int32),
                ("is_array", c_int32), ("count", c_uint64), ("data", c_void_p)]


class lq_writer_opts(Structure):
    _fields_ = [("struct_size", c_size_t), ("replace", c_int32), ("checksums", c_int32),
                ("shard_bytes", c_uint64), ("alignment", c_uint32), ("shard_tensors", c_uint32)]


class lq_weight(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("spec", POINTER(lq_spec)),
                ("dialect", c_char_p), ("dtype", c_int32), ("n_dims", c_uint32),
                ("dims", c_uint64 * MAX_DIMS), ("shape", lq_shape), ("bytes", c_uint64),
                ("note", c_char_p)]


class lq_choice(Structure):
    _fields_ = [("struct_size", c_size_t), ("action", c_int32), ("tail", c_int32),
                ("reason", c_char_p), ("spec", lq_spec)]


class lq_convert_report(Structure):
    _fields_ = [("struct_size", c_size_t), ("index", c_uint64), ("count", c_uint64),
                ("name", c_char_p), ("from_", c_char_p), ("to", c_char_p),
                ("reason", c_char_p), ("shape", lq_shape), ("bytes_in", c_uint64),
                ("bytes_out", c_uint64), ("sum_sq", c_double), ("sum_err_sq", c_double),
                ("xxh3", c_char * 33)]


CHOOSE_FN = CFUNCTYPE(c_int32, c_void_p, POINTER(lq_weight), POINTER(lq_choice))
IMPORTANCE_FN = CFUNCTYPE(c_void_p, c_void_p, POINTER(lq_weight))
REPORT_FN = CFUNCTYPE(None, c_void_p, POINTER(lq_convert_report))


class lq_convert_opts(Structure):
    _fields_ = [("struct_size", c_size_t), ("spec", POINTER(lq_spec)), ("nonfinite", c_int32),
                ("tail", c_int32), ("replace", c_int32), ("dry_run", c_int32),
                ("allow_requantize", c_int32), ("dequantize", c_int32),
                ("tail_spec", POINTER(lq_spec)), ("container", c_int32),
                ("search", c_int32), ("shard_bytes", c_uint64), ("choose", CHOOSE_FN),
                ("importance", IMPORTANCE_FN), ("report", REPORT_FN), ("user", c_void_p),
                ("progress", lq_progress), ("mix", c_char_p), ("dialect", c_char_p),
                ("shard_tensors", c_uint64)]


class lq_finding(Structure):
    _fields_ = [("struct_size", c_size_t), ("status", c_int32), ("name", c_char_p),
                ("message", c_char_p)]


FOUND_FN = CFUNCTYPE(None, c_void_p, POINTER(lq_finding))

# ------------------------------------------------------------------------ functions

_P = POINTER
_status, _level, _dtype, _type = c_int32, c_int32, c_int32, c_int32
_text, _float, _u64 = c_char_p, c_float, c_uint64
_err, _ctx, _spec, _shape, _rows = (_P(lq_error), _P(lq_ctx), _P(lq_spec), _P(lq_shape),
                                    _P(lq_rows))
_codebook, _scales, _encoder, _tensor = (_P(lq_codebook), _P(lq_scales), _P(lq_encoder),
                                         _P(lq_tensor))
_prepared, _acts, _file, _writer, _checkpoint, _imatrix, _adapter, _stats, _paged = (
    _P(lq_prepared), _P(lq_acts), _P(lq_file), _P(lq_writer), _P(lq_checkpoint), _P(lq_imatrix),
    _P(lq_adapter), _P(lq_stats), _P(lq_paged))

# name: (result, argument types)
FUNCTIONS = {
    # base.h
    "lq_status_name": (_text, [_status]),
    "lq_status_text": (_text, [_status]),
    "lq_error_init": (None, [_err]),
    "lq_dtype_bytes": (c_size_t, [_dtype]),
    "lq_dtype_name": (_text, [_dtype]),
    "lq_level_name": (_text, [_level]),
    "lq_level_find": (_status, [_text, _P(_level)]),
    "lq_level_available": (c_int, [_level]),
    "lq_ctx_opts_init": (None, [_P(lq_ctx_opts)]),
    "lq_ctx_create": (_status, [_P(lq_ctx_opts), _P(_ctx), _err]),
    "lq_ctx_destroy": (None, [_ctx]),
    "lq_ctx_prepare": (_status, [_ctx]),
    "lq_ctx_level": (_level, [_ctx]),
    "lq_ctx_threads": (c_uint32, [_ctx]),
    "lq_parallel": (_status, [_ctx, c_size_t, TASK_FN, c_void_p]),
    # version.h
    "lq_version": (c_uint32, []),
    "lq_version_string": (_text, []),
    # format.h
    "lq_format_info_init": (None, [_P(lq_format_info)]),
    "lq_format_count": (c_size_t, []),
    "lq_format_at": (_status, [c_size_t, _P(lq_format_info)]),
    "lq_format_get": (_status, [c_int32, _P(lq_format_info)]),
    "lq_format_find": (_status, [_text, _P(lq_format_info)]),
    "lq_spec_init": (None, [_spec]),
    "lq_spec_parse": (_status, [_text, _spec, _err]),
    "lq_spec_print": (_status, [_spec, _P(c_char), c_size_t]),
    "lq_spec_complete": (_status, [_spec, _err]),
    "lq_spec_equal": (c_int, [_spec, _spec]),
    "lq_plane_name": (_text, [c_int]),
    "lq_plane_bytes": (_status, [_spec, c_int, _shape, _P(_u64)]),
    "lq_spec_bytes": (_status, [_spec, _shape, _P(_u64)]),
    # codebook.h
    "lq_codebook_create": (_status, [_ctx, _P(_float), c_size_t, _P(_codebook), _err]),
    "lq_codebook_named": (_status, [_ctx, _text, _P(_codebook), _err]),
    "lq_codebook_normal": (_status, [_ctx, c_size_t, _P(_codebook), _err]),
    "lq_codebook_fit": (_status, [_ctx, _P(_float), _P(_float), c_size_t, c_size_t,
                                  _P(_codebook), _err]),
    "lq_codebook_destroy": (None, [_codebook]),
    "lq_codebook_count": (c_size_t, [_codebook]),
    "lq_codebook_values": (_P(_float), [_codebook]),
    "lq_codebook_nearest": (_status, [_codebook, _P(_float), c_size_t, _P(c_uint8)]),
    # scales.h
    "lq_scales_opts_init": (None, [_P(lq_scales_opts)]),
    "lq_scales_create": (_status, [_ctx, _P(_float), _u64, _P(lq_scales_opts), _P(_scales),
                                   _err]),
    "lq_scales_from_stored": (_status, [_ctx, c_void_p, _P(_float), _u64,
                                        _P(lq_scales_opts), _P(_scales), _err]),
    "lq_scales_destroy": (None, [_scales]),
    "lq_scales_count": (_u64, [_scales]),
    "lq_scales_codes": (c_void_p, [_scales, _P(_u64)]),
    "lq_scales_scale2": (_P(_float), [_scales, _P(_u64)]),
    "lq_scales_offset": (_float, [_scales]),
    "lq_scales_decode": (_status, [_scales, _u64, _u64, _P(_float)]),
    # tensor.h
    "lq_rows_init": (None, [_rows]),
    "lq_decode_rows": (_status, [_ctx, _rows, _u64, _u64, _dtype, c_void_p, _u64]),
    "lq_encode_opts_init": (None, [_P(lq_encode_opts)]),
    "lq_spec_rows_independent": (c_int, [_spec]),
    "lq_encode_rows": (_status, [_ctx, _rows, _u64, _u64, _dtype, c_void_p, _u64,
                                 _P(lq_encode_opts)]),
    "lq_encoder_begin": (_status, [_ctx, _spec, _shape, _P(lq_encode_opts), SINK_FN,
                                   c_void_p, _P(_encoder), _err]),
    "lq_encoder_passes": (c_int, [_encoder]),
    "lq_encoder_strip_rows": (_u64, [_encoder]),
    "lq_encoder_scan": (_status, [_encoder, _dtype, c_void_p, _u64, _u64]),
    "lq_encoder_rows": (_status, [_encoder, _dtype, c_void_p, _u64, _u64]),
    "lq_encoder_finish": (_status, [_encoder, _err]),
    "lq_encoder_destroy": (None, [_encoder]),
    "lq_tensor_create": (_status, [_ctx, _spec, _shape, _P(_tensor), _err]),
    "lq_tensor_wrap": (_status, [_ctx, _spec, _shape, _P(c_void_p), _P(_u64), _P(_tensor),
                                 _err]),
    "lq_tensor_encode": (_status, [_ctx, _spec, _shape, _dtype, c_void_p,
                                   _P(lq_encode_opts), _P(_tensor), _err]),
    "lq_tensor_decode": (_status, [_tensor, _dtype, c_void_p]),
    "lq_tensor_check": (_status, [_tensor, _err]),
    "lq_tensor_destroy": (None, [_tensor]),
    "lq_tensor_spec": (_spec, [_tensor]),
    "lq_tensor_shape": (_status, [_tensor, _shape]),
    "lq_tensor_plane": (c_void_p, [_tensor, c_int, _P(_u64)]),
    "lq_tensor_rows": (_status, [_tensor, _u64, _rows]),
    # layout.h
    "lq_gptq_init": (None, [_P(lq_gptq)]),
    "lq_gptq_bytes": (_status, [_spec, _u64, _u64, _P(lq_gptq)]),
    "lq_gptq_import": (_status, [_P(lq_gptq), _rows]),
    "lq_gptq_export": (_status, [_rows, _P(lq_gptq)]),
    "lq_gptq_detect": (c_int32, [c_void_p, _u64, c_uint32]),
    "lq_awq_init": (None, [_P(lq_awq)]),
    "lq_awq_bytes": (_status, [_spec, _u64, _u64, _P(lq_awq)]),
    "lq_awq_import": (_status, [_P(lq_awq), _rows]),
    "lq_awq_export": (_status, [_rows, _P(lq_awq)]),
    "lq_compressed_init": (None, [_P(lq_compressed)]),
    "lq_compressed_bytes": (_status, [_spec, _u64, _u64, _P(lq_compressed)]),
    "lq_compressed_detect": (c_int32, [c_uint32, _u64, _u64]),
    "lq_compressed_import": (_status, [_P(lq_compressed), _rows]),
    "lq_compressed_export": (_status, [_rows, _P(lq_compressed)]),
    # matmul.h
    "lq_prepare_opts_init": (None, [_P(lq_prepare_opts)]),
    "lq_prepared_bytes": (_status, [_ctx, _spec, _u64, _u64, _P(_u64)]),
    "lq_prepare": (_status, [_ctx, _rows, _P(lq_prepare_opts), _P(_prepared), _err]),
    "lq_prepared_destroy": (None, [_prepared]),
    "lq_acts_create": (_status, [_ctx, _prepared, _u64, _P(_acts), _err]),
    "lq_acts_fill": (_status, [_acts, _u64, c_int32, c_void_p, _u64]),
    "lq_acts_fit": (c_int32, [_acts, _prepared]),
    "lq_acts_destroy": (None, [_acts]),
    "lq_matmul_args_init": (None, [_P(lq_matmul_args)]),
    "lq_matmul": (_status, [_ctx, _prepared, _P(lq_matmul_args)]),
    "lq_matmul_rows": (_status, [_ctx, _rows, _P(lq_matmul_args)]),
    "lq_matmul_work_bytes": (_u64, [_prepared, _u64]),
    "lq_matmul_slice": (_status, [_prepared, _P(lq_matmul_args)]),
    "lq_matmul_transposed": (_status, [_ctx, _rows, _P(lq_matmul_args)]),
    # gemm.h
    "lq_gemm_args_init": (None, [_P(lq_gemm_args)]),
    "lq_gemm": (_status, [_ctx, _P(lq_gemm_args)]),
    # file.h
    "lq_container_name": (_text, [c_int32]),
    "lq_file_opts_init": (None, [_P(lq_file_opts)]),
    "lq_file_open": (_status, [_ctx, _text, _P(lq_file_opts), _P(_file), _err]),
    "lq_file_open_memory": (_status, [_ctx, c_void_p, _u64, _P(lq_file_opts), _P(_file),
                                      _err]),
    "lq_file_close": (None, [_file]),
    "lq_file_container": (c_int32, [_file]),
    "lq_file_path": (_text, [_file]),
    "lq_file_tensor_init": (None, [_P(lq_file_tensor)]),
    "lq_file_tensor_count": (_u64, [_file]),
    "lq_file_tensor_at": (_status, [_file, _u64, _P(lq_file_tensor)]),
    "lq_file_tensor_find": (_status, [_file, _text, _P(_u64)]),
    "lq_file_read": (_status, [_file, _u64, _u64, c_void_p, _u64, _err]),
    "lq_file_tensor_data": (c_void_p, [_file, _u64]),
    "lq_meta_init": (None, [_P(lq_meta)]),
    "lq_file_meta_count": (_u64, [_file]),
    "lq_file_meta_at": (_status, [_file, _u64, _P(lq_meta)]),
    "lq_file_meta_find": (_status, [_file, _text, _P(lq_meta)]),
    "lq_file_meta_string": (_status, [_file, _P(lq_meta), _u64, _P(_text), _P(_u64)]),
    "lq_file_config": (_P(c_char), [_file, _P(_u64)]),
    "lq_writer_opts_init": (None, [_P(lq_writer_opts)]),
    "lq_writer_create": (_status, [_ctx, _text, c_int32, _P(lq_writer_opts), _P(_writer),
                                   _err]),
    "lq_writer_meta": (_status, [_writer, _text, c_int32, c_int32, c_void_p, _u64]),
    "lq_writer_meta_string": (_status, [_writer, _text, _text]),
    "lq_writer_meta_copy": (_status, [_writer, _file, _P(lq_meta)]),
    "lq_writer_attach": (_status, [_writer, _text, c_void_p, _u64]),
    "lq_writer_tensor": (_status, [_writer, _text, _dtype, c_int32, c_uint32, _P(_u64),
                                   _P(_u64)]),
    "lq_writer_begin": (_status, [_writer, _err]),
    "lq_writer_write": (_status, [_writer, _u64, _u64, c_void_p, _u64, _err]),
    "lq_writer_finish": (_status, [_writer, _err]),
    "lq_writer_destroy": (None, [_writer]),
    "lq_weight_init": (None, [_P(lq_weight)]),
    "lq_checkpoint_create": (_status, [_ctx, _file, _P(_checkpoint), _err]),
    "lq_checkpoint_open": (_status, [_ctx, _text, _P(lq_file_opts), _P(_checkpoint), _err]),
    "lq_checkpoint_destroy": (None, [_checkpoint]),
    "lq_checkpoint_file": (_file, [_checkpoint]),
    "lq_checkpoint_count": (_u64, [_checkpoint]),
    "lq_checkpoint_weight": (_status, [_checkpoint, _u64, _P(lq_weight)]),
    "lq_checkpoint_find": (_status, [_checkpoint, _text, _P(_u64)]),
    "lq_checkpoint_load": (_status, [_checkpoint, _u64, _P(_tensor), _err]),
    "lq_checkpoint_rows": (_status, [_checkpoint, _u64, _u64, _u64, _u64, _P(_float),
                                     _err]),
    "lq_choose_default": (_status, [_P(lq_weight), _spec, c_int32, _P(lq_choice)]),
    "lq_convert_opts_init": (None, [_P(lq_convert_opts)]),
    "lq_convert": (_status, [_ctx, _text, _text, _P(lq_convert_opts), _err]),
    "lq_dialect_name": (_text, [c_size_t]),
    "lq_dialect_can_hold": (c_int, [_text, _spec, _shape]),
    "lq_mix_name": (_text, [c_size_t]),
    "lq_mix_spec": (_status, [_text, _spec]),
    "lq_gguf_name": (_status, [_text, _P(c_char), c_size_t]),
    "lq_imatrix_open": (_status, [_ctx, _text, _P(_imatrix), _err]),
    "lq_imatrix_open_memory": (_status, [_ctx, c_void_p, _u64, _P(_imatrix), _err]),
    "lq_imatrix_destroy": (None, [_imatrix]),
    "lq_imatrix_count": (_u64, [_imatrix]),
    "lq_imatrix_at": (_status, [_imatrix, _u64, _P(_text), _P(_P(_float)), _P(_u64)]),
    "lq_imatrix_find": (_status, [_imatrix, _text, _P(_P(_float)), _P(_u64)]),
    "lq_adapter_config_init": (None, [_P(lq_adapter_config)]),
    "lq_adapter_module_init": (None, [_P(lq_adapter_module)]),
    "lq_adapter_open": (_status, [_ctx, _text, _P(_adapter), _err]),
    "lq_adapter_open_memory": (_status, [_ctx, c_void_p, _u64, c_void_p, _u64, _P(_adapter),
                                         _err]),
    "lq_adapter_destroy": (None, [_adapter]),
    "lq_adapter_get_config": (_status, [_adapter, _P(lq_adapter_config)]),
    "lq_adapter_count": (_u64, [_adapter]),
    "lq_adapter_at": (_status, [_adapter, _u64, _P(lq_adapter_module)]),
    "lq_adapter_find": (_status, [_adapter, _text, _P(_u64)]),
    "lq_adapter_write": (_status, [_ctx, _text, _P(lq_adapter_config), _P(lq_adapter_module),
                                   _u64, c_int32, _err]),
    "lq_verify": (_status, [_ctx, _text, _P(lq_file_opts), FOUND_FN, c_void_p, _P(_u64),
                            _err]),
    # calibrate.h
    "lq_stats_opts_init": (None, [_P(lq_stats_opts)]),
    "lq_stats_create": (_status, [_ctx, _P(lq_stats_opts), _P(_stats), _err]),
    "lq_stats_destroy": (None, [_stats]),
    "lq_stats_add": (_status, [_stats, _text, _u64, _u64, _dtype, c_void_p, _u64, _err]),
    "lq_stats_same": (_status, [_stats, _text, _text, _err]),
    "lq_stats_merge": (_status, [_stats, _stats, _err]),
    "lq_stats_join": (_status, [_stats, _stats, _err]),
    "lq_stat_init": (None, [_P(lq_stat)]),
    "lq_stats_count": (_u64, [_stats]),
    "lq_stats_at": (_status, [_stats, _u64, _P(lq_stat)]),
    "lq_stats_find": (_status, [_stats, _text, _P(lq_stat)]),
    "lq_stats_gram_row": (_status, [_stats, _text, _u64, _P(_float)]),
    "lq_stats_save": (_status, [_stats, _text, c_int32, _err]),
    "lq_stats_load": (_status, [_ctx, _file, _text, _P(_stats), _err]),
    "lq_gptq_opts_init": (None, [_P(lq_gptq_opts)]),
    "lq_gptq_opts_compat": (None, [_P(lq_gptq_opts)]),
    "lq_gptq_result_init": (None, [_P(lq_gptq_result)]),
    "lq_tensor_gptq": (_status, [_ctx, _spec, _shape, _dtype, c_void_p, _stats, _text,
                                 _P(lq_gptq_opts), _P(_tensor), _P(lq_gptq_result), _err]),
    # train.h
    "lq_optimizer_init": (None, [_P(lq_optimizer)]),
    "lq_params_init": (None, [_P(lq_params)]),
    "lq_optimizer_bytes": (_status, [_P(lq_optimizer), _u64, _P(_u64)]),
    "lq_optimizer_step": (_status, [_ctx, _P(lq_optimizer), _P(lq_params)]),
    "lq_sum_squares": (_status, [_ctx, _P(_float), _u64, _P(c_double)]),
    "lq_lora_init": (None, [_P(lq_lora)]),
    "lq_lora_scale": (_float, [_float, c_uint32, c_int32]),
    "lq_lora_args_init": (None, [_P(lq_lora_args)]),
    "lq_lora_grads_init": (None, [_P(lq_lora_grads)]),
    "lq_lora_forward": (_status, [_ctx, _P(lq_lora), _P(lq_lora_args)]),
    "lq_lora_backward": (_status, [_ctx, _P(lq_lora), _P(lq_lora_args), _P(lq_lora_grads)]),
    "lq_merge_report_init": (None, [_P(lq_merge_report)]),
    "lq_lora_merge": (_status, [_ctx, _P(lq_lora), _spec, _P(lq_encode_opts),
                                _P(_tensor), _P(lq_merge_report), _err]),
    "lq_fake_init": (None, [_P(lq_fake)]),
    "lq_fake_groups": (_status, [_P(lq_fake), _u64, _u64, _P(_u64), _err]),
    "lq_fake_start": (_status, [_ctx, _P(lq_fake), _u64, _u64, _P(_float), _err]),
    "lq_fake_observe": (_status, [_ctx, _P(lq_fake), _u64, _u64, _P(_float), _err]),
    "lq_fake_forward": (_status, [_ctx, _P(lq_fake), _u64, _u64, _P(_float), _P(_float), _err]),
    "lq_fake_encode": (_status, [_ctx, _P(lq_fake), _u64, _u64, _P(_float), _P(_tensor), _err]),
    "lq_fake_grads_init": (None, [_P(lq_fake_grads)]),
    "lq_fake_backward": (_status, [_ctx, _P(lq_fake), _u64, _u64, _P(lq_fake_grads), _err]),
    "lq_paged_opts_init": (None, [_P(lq_paged_opts)]),
    "lq_paged_create": (_status, [_ctx, _P(lq_paged_opts), _P(_paged), _err]),
    "lq_paged_destroy": (None, [_paged]),
    "lq_paged_alloc": (_status, [_paged, _u64, _text, _P(c_void_p), _err]),
    "lq_paged_free": (_status, [_paged, c_void_p]),
    "lq_paged_use": (_status, [_paged, c_void_p, _u64, c_int32, _err]),
    "lq_paged_trim": (_status, [_paged, _err]),
    "lq_paged_sync": (_status, [_paged, _err]),
    "lq_paged_info_init": (None, [_P(lq_paged_info)]),
    "lq_paged_get": (_status, [_paged, _P(lq_paged_info)]),
    "lq_paged_step": (_status, [_paged, _P(lq_optimizer), _P(lq_params), _err]),
}


def load(path=None):
    """Open the shared library and give every function its types."""
    path = path or os.environ.get("LIBQUANT_LIBRARY") or ctypes.util.find_library("quant")
    dll = ctypes.CDLL(path or "libquant.so.0")
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(dll, name)
        function.restype = result
        function.argtypes = arguments
    return dll
