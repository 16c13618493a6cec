"""Figure 4: singular values of the static mixing matrices.

python examples/paper/figure4.py --data criteo --path train.txt --grid paper --out paper_runs.csv
python examples/paper/figure4.py --data synthetic --rows 100000 --grid quick
"""

from command import main

if __name__ == "__main__":
    main("figure4")
