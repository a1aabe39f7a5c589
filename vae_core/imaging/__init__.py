"""Image files of any origin as uint8 arrays, and arrays as image files.

reading   one file, whole or not at all        listing   what a folder holds
archive   what a .zip holds                    decode    one file to one array
decoder   a process that decodes               pool      many files, by many processes
resize    arrays brought to another size       png       arrays to PNG and back, tiles
animation arrays to GIF and WebP
"""
