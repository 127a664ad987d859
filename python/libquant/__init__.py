# SPDX-License-Identifier: MIT
"""libquant - quantized weights: encode, decode, multiply, convert files.

    import libquant
    q = libquant.Tensor.encode(weights, "nf4:b64:dq", (rows, cols))   # any float buffer
    w = q.decode()                                                    # array('f')

No dependencies; arrays are whatever has the buffer protocol.  Failures raise
libquant.Error with .status and .name, wrong buffers TypeError or ValueError.
The C library is $LIBQUANT_LIBRARY, or what the system's loader finds.
"""
from .adapter import Adapter, AdapterModule, adapter_write
from .buffers import (BF16, BOOL, E8M0, F8_E4M3, F8_E5M2, F16, F32, F64, I8, I16, I32, I64,
                      U8, U16, U32, U64)
from .calibrate import GptqResult, Stats, gptq
from .checkpoint import (ENCODE, KEEP, Checkpoint, Choice, Imatrix, Report, Weight,
                         choose_default, convert, dialects, gguf_name, mix_spec,
                         mixes, verify)
from .core import (Codebook, Context, Format, Scales, Spec, dtype_bytes, dtype_name,
                   format, formats, level_available, level_find, level_name, plane_name,
                   version)
from .errors import STATUS, Cancelled, Error
from .fake import Fake
from .file import DIRECTORY, GGUF, SAFETENSORS, File, FileTensor, Writer, container_name
from .layout import awq_export, awq_import, compressed_detect, compressed_export, compressed_import
from .layout import Gptq, gptq_bytes, gptq_detect, gptq_export, gptq_import
from .lora import Lora, lora_scale
from .native import GROUP_ALL
from .tensor import (Acts, Encoder, Prepared, Rows, Tensor, gemm, matmul_rows,
                     matmul_transposed, prepared_bytes)
from .train import Optimizer, Paged, parallel, sum_squares

__version__ = "0.1.0"
