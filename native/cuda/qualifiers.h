// What runs on the host and on the device alike is marked so; a plain C++ compiler sees nothing of it.
#pragma once

#ifdef __CUDACC__
#define NLSH_BOTH __host__ __device__
#else
#define NLSH_BOTH
#endif
