"""Writes the same numbers as npy files of every type and version: python python-writer.py folder"""
import sys

import numpy

numbers = numpy.arange(1, 25).reshape(6, 4)
for kind in ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]:
    for order in "<>":
        for version in [(1, 0), (2, 0), (3, 0)]:
            with open(f"{sys.argv[1]}/{kind}-{'little' if order == '<' else 'big'}-{version[0]}.npy", "wb") as file:
                numpy.lib.format.write_array(file, numbers.astype(order + kind), version=version)
numpy.save(f"{sys.argv[1]}/bool.npy", numbers % 2 == 0)
numpy.save(f"{sys.argv[1]}/axes.npy", numbers.reshape(6, 2, 2).astype("f4"))
numpy.save(f"{sys.argv[1]}/fortran.npy", numpy.asfortranarray(numbers.astype("f4")))
numpy.save(f"{sys.argv[1]}/half.npy", numbers.astype("f2"))
