"""The arrays of the benchmark, by what they hold.

Belongs here: names of array types that several modules share. Does not belong here: shapes, which each docstring says.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
